"""What an autoencoder and a VAE have in common: everything but the objective."""

import contextlib
import functools
import inspect
import math

import keras
import numpy as np
from keras import ops

from vae_keras import likelihoods
from vae_keras.checks import check_decoded, check_images, check_model, check_target, check_weight
from vae_keras.train_steps import train_step


class EncoderDecoder(keras.Model):
    """Base class: an encoder, a decoder and a likelihood, used as one model.

    A subclass implements `encode`, `call`, which returns a tuple of the
    parameters of `p(x|z)`, the codes and what else `compute_loss` needs, and
    `compute_loss`; `loss_names` are the numbers that it reports, in nats per
    image.
    """

    loss_names = ("loss", "reconstruction_loss")
    train_step = train_step  # the step of the Keras backend in use

    def __init__(self, encoder, decoder, likelihood="bernoulli", **kwargs):
        super().__init__(**kwargs)
        check_model(encoder, "encoder")
        check_model(decoder, "decoder")
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihoods.get(likelihood)
        self.trackers = {name: keras.metrics.Mean(name=name) for name in self.loss_names}

    @property
    def metrics(self):
        # Ours and not Keras's own loss tracker: `average` feeds these alone.
        return list(self.trackers.values())

    def build(self, input_shape):
        """Builds what is not built yet, and finds shapes that do not fit.

        Args:
            input_shape: Tuple `(batch, ...)`, the shape of a batch of images.
        """
        self.image_shape = tuple(input_shape[1:])
        images = keras.KerasTensor((None, *self.image_shape))
        parameters, codes = self.call(images)[:2]
        self.code_shape = tuple(codes.shape[1:])
        check_decoded(images, parameters)
        self.likelihood(images, parameters)

    def build_if_shape_is_known(self):
        """Builds at once where the encoder, made of inputs and outputs, tells its shape."""
        if getattr(self.encoder, "inputs", None):
            self.build(self.encoder.inputs[0].shape)

    def compile(self, optimizer="rmsprop", **kwargs):
        """Configures training as `keras.Model.compile` does; the loss is the model's own."""
        for name in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            if kwargs.get(name) is not None:
                raise ValueError(
                    f"{type(self).__name__} computes its own loss and reports {self.loss_names}: "
                    f"argument `{name}` must be None. Received: {name}={kwargs[name]}"
                )
        super().compile(optimizer, **kwargs)

    def compile_from_config(self, config):
        # Keras leaves a loaded model uncompiled where `compile` is overridden without this.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    @functools.wraps(keras.Model.fit)
    def fit(self, *args, **kwargs):
        self._build_optimizer()
        return self._call_checked(super().fit, *args, **kwargs)

    def _build_optimizer(self):
        """Makes the optimizer's variables, where the model's are known.

        Keras on TensorFlow would make them while it traces the first step, which
        takes a second or two, and trace that again.
        """
        if not self.built or self.optimizer is None or self.optimizer.built:
            return
        strategy = getattr(self, "distribute_strategy", None)  # on TensorFlow alone
        with strategy.scope() if strategy else contextlib.nullcontext():
            self.optimizer.build(self.trainable_variables)

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, *args, **kwargs):
        return self._call_checked(super().evaluate, *args, **kwargs)

    def _call_checked(self, method, *args, **kwargs):
        call = inspect.signature(method).bind(*args, **kwargs)
        given = call.arguments
        names = ("x", "y", "sample_weight")
        given["x"], given["y"], _ = self.checked(*(given.get(name) for name in names))
        if isinstance(given.get("validation_data"), (tuple, list)):
            given["validation_data"] = self.checked(*given["validation_data"])
        return method(*call.args, **call.kwargs)

    def checked(self, x, y=None, sample_weight=None):
        """Returns `(x, y, sample_weight)` for Keras, once they are fit to be seen by a model."""
        image_shape = self.image_shape if self.built else None
        bounds = self.likelihood.bounds
        # What is only looked at, not reconstructed, may carry noise beyond the bounds.
        check_images(x, "x", image_shape, bounds if y is None else (-math.inf, math.inf))
        if hasattr(x, "shape") and hasattr(y, "shape"):
            check_target(x, y)
        check_images(y, "y", image_shape, bounds)
        if y is None and sample_weight is not None and hasattr(x, "shape"):
            y = x  # Keras drops weights that come without targets.
        return x, y, sample_weight

    def log_likelihood(self, x, y, parameters):
        """Returns `log p(target|z)` in nats, `(batch,)`; the target is `y`, or `x` without one."""
        return self.likelihood(check_target(x, y), parameters)

    def average(self, sample_weight=None, **losses):
        """Averages losses of shape `(batch,)` over the batch, and tracks the means.

        Args:
            sample_weight: Tensor `(batch,)` or `None`.
            **losses: The losses by name, one for each of `loss_names`.

        Returns:
            The mean of `loss` plus the layers' regularization, a scalar.
        """
        batch_size = ops.shape(losses["loss"])[0]
        if sample_weight is not None:
            check_weight(sample_weight)
            weight = ops.cast(ops.reshape(sample_weight, (-1,)), losses["loss"].dtype)
            losses = {name: weight * loss for name, loss in losses.items()}
        means = {name: ops.mean(loss) for name, loss in losses.items()}
        # In half precision an activity regularizer's loss is less precise than ours.
        means["loss"] += sum(ops.cast(ops.sum(loss), means["loss"].dtype) for loss in self.losses)
        for name, tracker in self.trackers.items():
            tracker.update_state(means[name], sample_weight=batch_size)
        return means["loss"]

    def predict_with(self, part, x, batch_size):
        """Runs the encoder or decoder over an array; returns float32 NumPy, nested as it is."""
        outputs = part.predict(x, batch_size=batch_size, verbose=0)
        return keras.tree.map_structure(lambda array: np.asarray(array, "float32"), outputs)

    def decode(self, z, batch_size=256):
        """Decodes codes to images.

        Args:
            z: Array `(n, ...)`, the codes.
            batch_size: Integer, how many to decode at once.

        Returns:
            NumPy array `(n, ...)`, float32: the mean of `p(x|z)`, in [0, 1].
        """
        parameters = self.predict_with(self.decoder, z, batch_size)
        return ops.convert_to_numpy(self.likelihood.mean(parameters))

    def reconstruct(self, x, batch_size=256):
        """Encodes images and decodes their codes: `decode(encode(x))`."""
        return self.decode(self.encode(x, batch_size), batch_size)

    def get_config(self):
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "likelihood": keras.saving.serialize_keras_object(self.likelihood),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        inits = (base.__init__ for base in cls.__mro__ if issubclass(base, EncoderDecoder))
        known = {name for init in inits for name in inspect.signature(init).parameters}
        known |= {"name", "trainable", "dtype"}
        if unknown := set(config) - known:
            raise ValueError(
                f"This {cls.__name__} was saved by a newer vae_keras: it has {sorted(unknown)}, "
                "which this version does not know. Upgrade vae_keras to load it."
            )
        parts = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in ("encoder", "decoder", "likelihood")
        }
        return cls(**{**config, **parts})
