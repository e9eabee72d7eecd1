"""`python -m vae_keras.train`: trains a VAE on garments or faces, outside a notebook."""

import sys

from vae_keras.startup import use_onednn

use_onednn()  # before Keras is imported

# isort: split
from vae_keras.training.main import main

if __name__ == "__main__":
    sys.exit(main())
