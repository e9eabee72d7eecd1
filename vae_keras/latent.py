"""Arithmetic in the latent space: NumPy in, NumPy out."""
