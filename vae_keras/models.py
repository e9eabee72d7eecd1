"""Autoencoder and VAE: what each computes, and what each minimizes."""

import functools
import types

import keras
import numpy as np
from keras import ops

from vae_keras import priors
from vae_keras.base import EncoderDecoder, call_part, split_inputs
from vae_keras.checks import as_array, check_code, check_same_shape, check_weight
from vae_keras.sampling import Sampling

# A posterior that is wider by far than the prior says nothing. A batch in which a network returns
# such a variance once must not overflow, nor make Adam tiptoe for the rest of the training.
MAX_LOG_VAR = 10.0


@keras.saving.register_keras_serializable(package="vae_keras")
class Autoencoder(EncoderDecoder):
    """An encoder and a decoder, trained to give back what they were given.

    The loss is `-log p(x|z)`, summed over the pixels and averaged over the
    batch: nats per image, the same number as a `VAE`'s `reconstruction_loss`.

    `fit` and `evaluate` take `x`, `(x, y)` or `(x, y, sample_weight)`: arrays,
    `tf.data`, `PyDataset` or a torch `DataLoader`. Where `y` is given it is
    the image to reconstruct (to remove noise, say), shaped like `x`. Weights
    are one for each image, or one for each time step, pixel or entry: the sum
    runs over what counts. `predict` returns what the model computes, as a
    tuple: the decoder's output and the codes. Metrics of `compile` are
    computed between the image and its reconstruction.

    Where the encoder or the decoder has a second input (a class, attributes),
    `x` is a list, `[images, condition]`, everywhere, and `validation_data`
    `([images, condition],)`. A batch that a `PyDataset` or a generator yields
    is `((images, condition),)`: Keras takes the second of a pair for a target.

    Args:
        encoder: Keras model, images to codes.
        decoder: Keras model, codes to the parameters of `p(x|z)`: logits for
            the Bernoullis, the mean for the Gaussian; shaped like the images.
        likelihood: `"bernoulli"`, `"continuous_bernoulli"`, `"gaussian"` or a
            layer from `vae_keras.likelihoods`.

    Raises:
        ValueError: if the likelihood is unknown, shapes do not fit, or images
            are NaN or outside the likelihood's bounds.
        FloatingPointError: if the loss ceases to be finite in `fit`.
    """

    def __init__(self, encoder, decoder, likelihood="bernoulli", **kwargs):
        super().__init__(encoder, decoder, likelihood, **kwargs)
        if self._shapes_are_known and type(self).call is Autoencoder.call:
            check_code(encoder.outputs if len(encoder.outputs) > 1 else encoder.outputs[0])
            self._check_parts()
        if type(self) is Autoencoder:  # what a subclass has yet to add cannot be built now
            self._build_early()

    def call(self, x, training=None):
        images, conditions = split_inputs(x)
        z = call_part(self.encoder, images, conditions, training)
        check_code(z)
        return call_part(self.decoder, z, conditions, training), z

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = self._reconstruction_loss(x, y, y_pred[0], sample_weight, training)  # (batch,)
        return self._average(x, y, loss=loss, reconstruction_loss=loss)

    def encode(self, x, batch_size=256):
        """Encodes images.

        Args:
            x: Array `(n, ...)` of images, or a stream of batches.
            batch_size: Integer, how many to encode at once.

        Returns:
            NumPy array `(n, ...)`, float32: the codes.
        """
        self._check_encoded(x)
        return self._predict_with(self.encoder, x, batch_size)


@keras.saving.register_keras_serializable(package="vae_keras")
class VAE(EncoderDecoder):
    """A variational autoencoder (Kingma & Welling, 2014).

    The loss is the negative evidence lower bound: `-log p(x|z)`, summed over
    the pixels, plus `beta` times the KL divergence from the posterior to the
    prior, summed over the latent dimensions; averaged over the batch, once.
    All in nats per image, with one sample of `z` per image.

    `fit` and `evaluate` take what those of `Autoencoder` take, and report
    `loss = reconstruction_loss + beta * kl_loss`. `predict` returns what the
    model computes, as a tuple: the decoder's output, `z_mean`, `z_log_var`
    and the sample `z`. A subclass may return more, and may have a
    `compute_loss` of its own, a scalar, which is reported as `loss`; the two
    parts are reported where it calls the one here.

    Args:
        encoder: Keras model, images to `(z_mean, z_log_var)`, two tensors of
            one shape. A logarithm above 10 counts as 10.
        decoder: Keras model, codes to the parameters of `p(x|z)`: logits for
            the Bernoullis, the mean for the Gaussian; shaped like the images,
            or as the likelihood says.
        likelihood: `"bernoulli"`, `"continuous_bernoulli"`, `"gaussian"` or a
            layer from `vae_keras.likelihoods`.
        beta: Float >= 0, the weight of the KL divergence. At 1 the loss is a
            bound on `-log p(x)`; elsewhere it is the objective of the
            beta-VAE (Higgins et al., 2017). It may be set during training.
        prior: What codes are drawn from: by default `N(0, I)`; or an object
            with methods `log_prob(z)`, which returns nats of shape
            `(batch,)`, and `sample(n, seed)`. See `vae_keras.priors`.
        seed: Integer, optional random seed of the posterior's samples.

    Raises:
        ValueError: if an argument is out of range, shapes do not fit, or
            images are NaN or outside the likelihood's bounds.
        FloatingPointError: if the loss ceases to be finite in `fit`.

    Example:

    >>> vae = VAE(*networks.dense(latent_dim=2))
    >>> vae.compile(keras.optimizers.Adam(1e-3))
    >>> vae.fit(x_train, epochs=10, batch_size=256)
    >>> vae.generate(16).shape
    (16, 28, 28, 1)
    """

    loss_names = ("loss", "reconstruction_loss", "kl_loss")

    def __init__(
        self,
        encoder,
        decoder,
        likelihood="bernoulli",
        beta=1.0,
        prior=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(encoder, decoder, likelihood, **kwargs)
        self.prior = priors.get(prior)
        self.prior.attach(encoder)
        self.seed = seed
        self.sampling = Sampling(seed, dtype=self.dtype_policy)
        # A variable, so that a compiled step reads it anew, and not tracked: it is no weight.
        self._settings = types.SimpleNamespace(
            beta=keras.Variable(1.0, trainable=False, dtype="float32", name="beta")
        )
        self.beta = beta
        if self._shapes_are_known and type(self).call is VAE.call:
            check_same_shape([tuple(tensor.shape) for tensor in encoder.outputs])
            self._check_parts()
        if self.code_shape and None not in self.code_shape:
            self._build_prior()
        if type(self) is VAE:  # what a subclass has yet to add cannot be built now
            self._build_early()

    @property
    def beta(self):
        self._sync()
        return float(ops.convert_to_numpy(self._settings.beta))

    @beta.setter
    def beta(self, value):
        if not 0 <= value < float("inf"):
            raise ValueError(f"Argument `beta` must be >= 0 and finite. Received: beta={value}")
        self._sync()
        self._settings.beta.assign(value)

    @property
    def beta_variable(self):
        """The variable that holds `beta`: what a loss of a subclass's own reads in its step."""
        return self._settings.beta

    @property
    def non_trainable_variables(self):
        return [*super().non_trainable_variables, self._settings.beta]

    def build(self, input_shape):
        super().build(input_shape)
        self._build_prior()

    def _build_prior(self):
        if not self.prior.built:
            self.prior.build((None, *self.code_shape))

    def call(self, x, training=None):
        images, conditions = split_inputs(x)
        posterior = call_part(self.encoder, images, conditions, training)
        check_same_shape(keras.tree.map_structure(lambda tensor: tuple(tensor.shape), posterior))
        z_mean, z_log_var = posterior
        z_log_var = ops.minimum(z_log_var, MAX_LOG_VAR)
        z = self.sampling((z_mean, z_log_var))
        return call_part(self.decoder, z, conditions, training), z_mean, z_log_var, z

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        parameters, *posterior = y_pred[:4]  # z_mean, z_log_var and z
        reconstruction = self._reconstruction_loss(x, y, parameters, sample_weight, training)
        kl = self.prior(*posterior)  # (batch,), as the reconstruction
        weight, is_of_images = check_weight(sample_weight, split_inputs(x)[0])
        if is_of_images:
            kl = ops.cast(weight, kl.dtype) * kl
        return self._average(
            x,
            y,
            loss=reconstruction + self.beta_variable * kl,
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
        self._check_encoded(x)
        part = self.encoder if type(self).call is VAE.call else _Posterior(self)
        z_mean, z_log_var = self._predict_with(part, x, batch_size)
        return z_mean, np.minimum(z_log_var, MAX_LOG_VAR)

    def generate(self, n, seed=None, sampler=None, condition=None):
        """Decodes codes drawn from the prior, or from the distribution of real codes.

        Args:
            n: Integer, how many images.
            seed: Integer, optional random seed.
            sampler: What to draw codes from, in place of the prior: a
                `CodeSampler`, or any object with a method `sample(n, seed)`
                that returns an array `(n, *code_shape)`.
            condition: Array `(n, ...)`, or a list of them, of a model whose
                decoder takes conditions.

        Returns:
            NumPy array `(n, ...)`, float32: images, within the bounds of the
            likelihood.

        Raises:
            ValueError: if `n < 0`, the shape of a code or a part of it is not
                known, or conditions are missing.
        """
        if n < 0:
            raise ValueError(f"Argument `n` must be >= 0. Received: n={n}")
        if sampler is None and not self.prior.built:
            raise ValueError(
                "The shape of a code is unknown: call or fit the model on images first."
            )
        if sampler is None and None in self.code_shape:
            raise ValueError(
                f"Codes of shape {self.code_shape} may have any length: argument `sampler` must "
                "draw some of one. Received: sampler=None"
            )
        z = as_array((sampler or self.prior).sample(n, seed))
        return self.decode(z, condition=condition)

    @functools.wraps(keras.Model.export)
    def export(self, filepath, format="tf_saved_model", *args, **kwargs):
        if format == "onnx":
            raise ValueError(
                "ONNX has no random numbers from a seed, which a VAE draws: export its `encoder` "
                'and its `decoder`. Received: format="onnx"'
            )
        return super().export(filepath, format, *args, **kwargs)

    def get_config(self):
        prior = keras.saving.serialize_keras_object(self.prior)
        return {**super().get_config(), "beta": self.beta, "prior": prior, "seed": self.seed}

    def load_own_variables(self, store):
        own = {}
        self.save_own_variables(own)
        if not own and list(store.keys()) == ["0"]:
            return  # version 0.1.0 kept `beta` there, which the configuration has too
        super().load_own_variables(store)


class _Posterior(keras.Model):
    """The posterior of a VAE whose `call` is its subclass's own."""

    def __init__(self, vae):
        super().__init__(name="posterior")
        self.vae = vae

    def call(self, x):
        return self.vae(x)[1:3]
