"""`python -m vae_keras.train`: trains a VAE on garments, faces or images of your own."""

from vae_keras import terminal
from vae_keras.startup import use_onednn


def main(arguments=None):
    """Sets Keras up, imports it, and trains; takes and returns what `training.main.main` does."""
    use_onednn()
    with terminal.quiet_libraries():
        from vae_keras.training.main import main

    return main(arguments)


if __name__ == "__main__":
    terminal.run(main)
