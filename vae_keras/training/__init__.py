"""What `python -m vae_keras.train` is made of; `import vae_keras` imports none of it."""
