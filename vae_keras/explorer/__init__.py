"""A latent space that one moves through in the browser: the decoder runs in the page."""

from vae_keras.explorer.page import Page
from vae_keras.explorer.pages import attributes, plane

__all__ = ["Page", "attributes", "plane"]
