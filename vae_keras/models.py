"""Autoencoder and VAE: what each computes, and what each minimizes."""

import keras
from keras import ops

from vae_keras.base import EncoderDecoder
from vae_keras.checks import check_code
from vae_keras.losses import kl_divergence
from vae_keras.sampling import Sampling


@keras.saving.register_keras_serializable(package="vae_keras")
class Autoencoder(EncoderDecoder):
    """An encoder and a decoder, trained to give back what they were given.

    The loss is `-log p(x|z)`, summed over the pixels and averaged over the
    batch: nats per image, the same number as a `VAE`'s `reconstruction_loss`.

    `fit` and `evaluate` take `x`, `(x, y)` or `(x, y, sample_weight)`: arrays,
    `tf.data`, `PyDataset` or a torch `DataLoader`. Where `y` is given it is
    the image to reconstruct (to remove noise, say), shaped like `x`.

    Args:
        encoder: Keras model, images to codes.
        decoder: Keras model, codes to the parameters of `p(x|z)`: logits for
            the Bernoullis, the mean for the Gaussian; shaped like the images.
        likelihood: `"bernoulli"`, `"continuous_bernoulli"`, `"gaussian"` or a
            layer from `vae_keras.likelihoods`.

    Raises:
        ValueError: if the likelihood is unknown, shapes do not fit, or images
            are NaN or outside [0, 1].
    """

    def __init__(self, encoder, decoder, likelihood="bernoulli", **kwargs):
        super().__init__(encoder, decoder, likelihood, **kwargs)
        self.build_if_shape_is_known()

    def call(self, x, training=None):
        z = self.encoder(x, training=training)
        check_code(z)
        return self.decoder(z, training=training), z

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        parameters, _ = y_pred
        reconstruction = -self.log_likelihood(x, y, parameters)  # (batch,)
        return self.average(sample_weight, loss=reconstruction, reconstruction_loss=reconstruction)

    def encode(self, x, batch_size=256):
        """Encodes images.

        Args:
            x: Array `(n, ...)` of images, or a stream of batches.
            batch_size: Integer, how many to encode at once.

        Returns:
            NumPy array `(n, ...)`, float32: the codes.
        """
        return self.predict_with(self.encoder, self.checked(x)[0], batch_size)


@keras.saving.register_keras_serializable(package="vae_keras")
class VAE(EncoderDecoder):
    """A variational autoencoder (Kingma & Welling, 2014).

    The loss is the negative evidence lower bound: `-log p(x|z)`, summed over
    the pixels, plus `beta` times the KL divergence from the posterior to the
    prior `N(0, I)`, summed over the latent dimensions; averaged over the
    batch, once. All in nats per image, with one sample of `z` per image.

    `fit` and `evaluate` take what those of `Autoencoder` take, and report
    `loss = reconstruction_loss + beta * kl_loss`.

    Args:
        encoder: Keras model, images to `(z_mean, z_log_var)`, two tensors of
            one shape.
        decoder: Keras model, codes to the parameters of `p(x|z)`: logits for
            the Bernoullis, the mean for the Gaussian; shaped like the images.
        likelihood: `"bernoulli"`, `"continuous_bernoulli"`, `"gaussian"` or a
            layer from `vae_keras.likelihoods`.
        beta: Float >= 0, the weight of the KL divergence. At 1 the loss is a
            bound on `-log p(x)`; elsewhere it is the objective of the
            beta-VAE (Higgins et al., 2017). It may be set during training.

    Raises:
        ValueError: if an argument is out of range, shapes do not fit, or
            images are NaN or outside [0, 1].

    Example:

    >>> vae = VAE(*networks.dense(latent_dim=2))
    >>> vae.compile(keras.optimizers.Adam(1e-3))
    >>> vae.fit(x_train, epochs=10, batch_size=256)
    >>> vae.generate(16).shape
    (16, 28, 28, 1)
    """

    loss_names = ("loss", "reconstruction_loss", "kl_loss")

    def __init__(self, encoder, decoder, likelihood="bernoulli", beta=1.0, **kwargs):
        super().__init__(encoder, decoder, likelihood, **kwargs)
        self.sampling = Sampling()
        # A variable, so that a callback can change it under a compiled step.
        self._beta = self.add_weight(shape=(), trainable=False, dtype="float32", name="beta")
        self.beta = beta
        self.build_if_shape_is_known()

    @property
    def beta(self):
        return float(ops.convert_to_numpy(self._beta))

    @beta.setter
    def beta(self, value):
        if not value >= 0:
            raise ValueError(f"Argument `beta` must be >= 0. Received: beta={value}")
        self._beta.assign(value)

    def call(self, x, training=None):
        posterior = self.encoder(x, training=training)
        z = self.sampling(posterior)
        return self.decoder(z, training=training), *posterior

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        parameters, z_mean, z_log_var = y_pred
        reconstruction = -self.log_likelihood(x, y, parameters)  # (batch,)
        kl = kl_divergence(z_mean, z_log_var)  # (batch,)
        return self.average(
            sample_weight,
            loss=reconstruction + self._beta * kl,
            reconstruction_loss=reconstruction,
            kl_loss=kl,
        )

    def encode(self, x, batch_size=256):
        """Encodes images to the means of their posteriors.

        Args:
            x: Array `(n, ...)` of images, or a stream of batches.
            batch_size: Integer, how many to encode at once.

        Returns:
            NumPy array `(n, ...)`, float32: `z_mean`.
        """
        return self.posterior(x, batch_size)[0]

    def posterior(self, x, batch_size=256):
        """Encodes images to their posteriors: `(z_mean, z_log_var)`, two NumPy arrays."""
        return self.predict_with(self.encoder, self.checked(x)[0], batch_size)

    def generate(self, n, seed=None, sampler=None):
        """Decodes codes drawn from the prior, or from the distribution of real codes.

        Args:
            n: Integer, how many images.
            seed: Integer, optional random seed.
            sampler: What to draw codes from, in place of the prior: a
                `CodeSampler`, or any object with a method `sample(n, seed)`
                that returns an array `(n, *code_shape)`.

        Returns:
            NumPy array `(n, ...)`, float32: images in [0, 1].
        """
        if not self.built:
            raise ValueError(
                "The shape of a code is unknown: call or fit the model on images first."
            )
        if sampler is not None:
            return self.decode(sampler.sample(n, seed))
        z = keras.random.normal((n, *self.code_shape), seed=seed)
        return self.decode(ops.convert_to_numpy(z))

    def get_config(self):
        return {**super().get_config(), "beta": self.beta}
