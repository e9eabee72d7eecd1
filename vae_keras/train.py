"""`python -m vae_keras.train`: trains a VAE on garments or faces, outside a notebook."""

import sys

from vae_keras.training.main import main

if __name__ == "__main__":
    sys.exit(main())
