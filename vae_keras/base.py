"""What an autoencoder and a VAE have in common: everything but the objective."""

import contextlib
import functools
import inspect
import types
import warnings

import keras
import numpy as np
from keras import ops

from vae_keras import likelihoods
from vae_keras.checks import (
    as_array,
    check_condition,
    check_images,
    check_logits,
    check_model,
    check_nats,
    check_not_empty,
    check_own_loss,
    check_target,
    check_weight,
    check_weights,
    fits,
    is_array,
)
from vae_keras.train_steps import train_step
from vae_keras.watch import Watch, explained, surviving, watched


def _checked(name):
    """Returns Keras's method of that name, with our checks of its arguments before it."""

    @functools.wraps(getattr(keras.Model, name))
    def method(self, *args, **kwargs):
        keras_method = getattr(super(EncoderDecoder, self), name)
        call = self._check_call(keras_method, args, kwargs)
        if name == "fit":
            self._build_early()
        with explained(self, call.arguments.get("callbacks")):
            return keras_method(*call.args, **call.kwargs)

    return method


class EncoderDecoder(keras.Model):
    """Base class: an encoder, a decoder and a likelihood, used as one model.

    A subclass implements `encode`, `call`, which returns a tuple of the
    parameters of `p(x|z)`, the codes and what else `compute_loss` needs, and
    `compute_loss`; `loss_names` are the numbers that it reports, in nats per
    image: `loss` is what `compute_loss` returns, and the others come from
    `_average`.
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
        self._trackers = {name: keras.metrics.Mean(name=name) for name in self.loss_names}
        self._watch = Watch(self.likelihood.bounds)
        # Of the step that is traced; no attributes of the model, whose setter does more.
        self._step = types.SimpleNamespace(returns_loss=False, has_parts=True)
        self.image_shape = self.code_shape = None
        if inputs_of(encoder):
            self.image_shape = tuple(encoder.inputs[0].shape[1:])
        if inputs_of(decoder):
            self.code_shape = tuple(decoder.inputs[0].shape[1:])

    @property
    def _shapes_are_known(self):
        """Whether encoder and decoder, made of inputs and outputs, tell their shapes."""
        return self.image_shape is not None and self.code_shape is not None

    def _check_parts(self):
        """Raises `ValueError` where the shapes that encoder and decoder tell do not fit."""
        codes, images = self.encoder.outputs[0], self.encoder.inputs[0]
        if not fits(codes.shape[1:], self.code_shape):
            raise ValueError(
                "The decoder must take the codes that the encoder returns. Received: codes of "
                f"shape {tuple(codes.shape[1:])}, a decoder of codes of shape {self.code_shape}"
            )
        self.likelihood.check_decoded(images.shape, self.decoder.outputs[0].shape)
        if self.likelihood.takes_logits:
            check_logits(self.decoder)

    @property
    def metrics(self):
        # Keras's own mean of the loss, first in its list, is over replicas and not over images.
        ours = [*self._trackers.values(), getattr(self, "_loss_tracker", None)]
        others = [m for m in super().metrics if not any(m is known for known in ours)]
        return [*self._trackers.values(), *others]

    def build(self, input_shape):
        """Builds what is not built yet, and finds shapes that do not fit.

        Args:
            input_shape: Tuple `(batch, ...)`, the shape of a batch of images;
                or a list of it and the shapes of the conditions.
        """
        inputs = keras.tree.map_shape_structure(keras.KerasTensor, input_shape)
        images, _ = split_inputs(inputs)
        parameters, codes = self.compute_output_spec(inputs)[:2]
        self.image_shape, self.code_shape = tuple(images.shape[1:]), tuple(codes.shape[1:])
        self.likelihood(images, parameters)

    def _build_early(self):
        """Makes the variables of the model and its optimizer, where its parts tell their shapes.

        Keras on TensorFlow would make them while it traces the first step, which
        takes a second or two, and trace that again.
        """
        strategy = getattr(self, "distribute_strategy", None)  # on TensorFlow alone
        with strategy.scope() if strategy else contextlib.nullcontext():
            is_known = self._shapes_are_known and (self._hands_on or len(self._inputs()) == 1)
            if not self.built and is_known:
                shapes = [(None, *tensor.shape[1:]) for tensor in self._inputs()]
                self.build(shapes if len(shapes) > 1 else shapes[0])
            known = self.built and all(layer.built for layer in self.layers)
            if known and self.compiled and not self.optimizer.built:
                self.optimizer.build(self.trainable_variables)

    @property
    def _hands_on(self):
        """Whether the parts get conditions as they come: a `call` of one's own may change them."""
        return type(self).call.__module__ == "vae_keras.models"

    def _inputs(self):
        """Returns the model's inputs as its parts tell them: the images, then the conditions."""
        conditions = max(inputs_of(self.encoder)[1:], inputs_of(self.decoder)[1:], key=len)
        return [self.encoder.inputs[0], *conditions]

    fit = _checked("fit")
    evaluate = _checked("evaluate")
    train_on_batch = _checked("train_on_batch")
    test_on_batch = _checked("test_on_batch")

    @functools.wraps(keras.Model.export)
    def export(self, *args, **kwargs):
        if self._shapes_are_known:  # Keras exports only what was called
            shapes = [[size or 1 for size in tensor.shape] for tensor in self._inputs()]
            inputs = [ops.zeros(shape) for shape in shapes]
            self(inputs if len(inputs) > 1 else inputs[0])
        return super().export(*args, **kwargs)

    def _check_call(self, method, args, kwargs):
        """Returns the arguments of a call of Keras's `method`, once they are fit to be learned."""
        check_own_loss(self)
        call = inspect.signature(method).bind(*args, **kwargs)
        given = call.arguments
        if given.get("class_weight") is not None:
            raise ValueError(
                "Argument `class_weight` must be None, as there are no classes; `sample_weight` "
                "weighs images."
            )
        data = (given.get(name) for name in ("x", "y", "sample_weight"))
        given["x"], given["y"], _ = self._check_data(*data)
        if isinstance(given.get("validation_data"), (tuple, list)):
            given["validation_data"] = self._check_data(*given["validation_data"])
        if "callbacks" in inspect.signature(method).parameters:
            given["callbacks"] = watched(given.get("callbacks"))
        return call

    def _check_data(self, x, y=None, sample_weight=None):
        """Returns `(x, y, sample_weight)` for Keras, once they are fit to be learned."""
        images, _ = split_inputs(x)
        check_not_empty(images, "x")
        self._check_conditions(x)
        # What is only looked at, and not scored, may hold any numbers.
        bounds = self.likelihood.bounds if y is None else None
        check_images(images, "x", self.image_shape, bounds)
        if is_array(images) and is_array(y):
            check_target(images, y)
        check_images(y, "y", self.image_shape, self.likelihood.bounds)
        check_weights(sample_weight)
        if y is None and sample_weight is not None and is_array(images):
            y = images  # Keras drops weights that come without targets.
        return x, y, sample_weight

    def _check_conditions(self, x, needed=None):
        """Raises `ValueError` where the conditions beside images are not those of the parts."""
        parts = (self.encoder, self.decoder)
        check_conditions(x, parts, needed)
        if self._hands_on:
            check_shapes(x, parts)

    def _check_encoded(self, x, *others):
        """Raises `ValueError` for images like none that the model learned from, but for noise.

        Args:
            x: The images, or a list of them and the conditions.
            *others: The parts, besides the encoder, that must get theirs.
        """
        self._check_conditions(x, (self.encoder, *others))
        images, _ = split_inputs(x)
        check_images(images, "x", self.image_shape, self.likelihood.bounds, noisy=True)

    @functools.wraps(keras.Model.predict)
    def predict(self, x, *args, **kwargs):
        check_not_empty(split_inputs(x)[0], "x")
        self._check_encoded(x, self.decoder)
        with surviving(self):
            return super().predict(x, *args, **kwargs)

    def _compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        # What every step calls, Keras's own for evaluation too. What is reported is what is
        # returned, and a subclass may return something else than `_average`.
        self._step.returns_loss, self._step.has_parts = True, False
        try:
            loss = super()._compute_loss(x, y, y_pred, sample_weight, training)
        finally:
            self._step.returns_loss = False
        self._track(x, y, loss=loss)
        return loss

    def _reconstruction_loss(self, x, y, parameters, sample_weight=None, training=True):
        """Returns `-log p(target|z)` in nats, `(batch,)`, weighted; the target is `y` or else `x`.

        Args:
            x: Tensor `(batch, ...)`, the images, or a list of them and the
                conditions.
            y: Tensor like the images, or `None`.
            parameters: Tensor, the decoder's output.
            sample_weight: Tensor as `check_weight` takes it, or `None`.
            training: Boolean.
        """
        target = check_target(split_inputs(x)[0], y)
        weight, _ = check_weight(sample_weight, target)
        options = {} if weight is None else {"sample_weight": weight}
        nats = self.likelihood(target, parameters, training=training, **options)
        check_nats(nats, f"The likelihood, {type(self.likelihood).__name__},")
        return -nats

    def _average(self, x, y=None, **losses):
        """Averages losses of shape `(batch,)` over the batch, and tracks the means.

        Args:
            x: As in `compute_loss`.
            y: As in `compute_loss`.
            **losses: The losses by name, one for each of `loss_names`.

        Returns:
            The mean of `loss` plus the layers' regularization, a scalar.
        """
        batch_size = ops.shape(losses["loss"])[0]
        # A replica may have no image of a small last batch.
        count = ops.cast(ops.maximum(batch_size, 1), losses["loss"].dtype)
        means = {name: ops.sum(loss) / count for name, loss in losses.items()}
        # In half precision an activity regularizer's loss is less precise than ours.
        means["loss"] += sum(ops.cast(ops.sum(loss), means["loss"].dtype) for loss in self.losses)
        self._step.has_parts = True
        total = means["loss"]
        if self._step.returns_loss:
            del means["loss"]
        self._track(x, y, **means)
        return total

    def _track(self, x, y, **means):
        """Counts the means of a batch among those of the epoch."""
        images = split_inputs(x)[0]
        if "loss" in means:
            means["loss"] += self._watch.update_state(images if y is None else y)
        for name, mean in means.items():
            self._trackers[name].update_state(mean, sample_weight=ops.shape(images)[0])

    def get_metrics_result(self):
        """Returns the results of all metrics, without parts of a loss that has none."""
        results = super().get_metrics_result()
        if not self._step.has_parts:
            results = {k: v for k, v in results.items() if k not in self.loss_names[1:]}
        return results

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Computes the metrics of `compile`, between the target and the mean of `p(x|z)`."""
        if self._compile_metrics is not None:
            y = check_target(split_inputs(x)[0], y)
            y_pred = self.likelihood.mean(y_pred[0])
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _predict_with(self, part, inputs, batch_size):
        """Runs the encoder or decoder over arrays; returns float32 NumPy, nested as it is."""
        self._sync()
        first, conditions = split_inputs(inputs)
        if is_array(first):
            arrays = [as_array(array) for array in part_inputs(part, first, conditions)]
            inputs, count = _even(arrays), len(arrays[0])
        if is_array(first) and count == 0:
            outputs = _empty(part, inputs)
        else:
            inputs = inputs[0] if isinstance(inputs, list) and len(inputs) == 1 else inputs
            with surviving(part):
                outputs = part.predict(inputs, batch_size=batch_size, verbose=0)
        count = count if is_array(first) else None
        return keras.tree.map_structure(lambda a: np.asarray(a[:count], "float32"), outputs)

    def decode(self, z, batch_size=256, condition=None):
        """Decodes codes to images.

        Args:
            z: Array `(n, ...)`, the codes.
            batch_size: Integer, how many to decode at once.
            condition: Array `(n, ...)`, or a list of them, of a model whose
                decoder takes conditions.

        Returns:
            NumPy array `(n, ...)`, float32: the mean of `p(x|z)`, within the
            bounds of the likelihood.
        """
        inputs = _with(z, condition)
        check_conditions(inputs, [self.decoder])
        check_shapes(inputs, [self.decoder])
        if is_array(z):
            self._check_codes(z)
        parameters = self._predict_with(self.decoder, inputs, batch_size)
        return ops.convert_to_numpy(self.likelihood.mean(parameters))

    def _check_codes(self, z):
        if self.code_shape is not None and not fits(z.shape[1:], self.code_shape):
            raise ValueError(
                f"Argument `z` must be codes of shape {self.code_shape}, one batch axis first. "
                f"Received: z of shape {tuple(z.shape)}"
            )

    def reconstruct(self, x, batch_size=256):
        """Encodes images and decodes their codes: `decode(encode(x))`."""
        conditions = part_inputs(self.decoder, None, split_inputs(x)[1])[1:]
        return self.decode(self.encode(x, batch_size), batch_size, conditions or None)

    def _sync(self):
        # During an epoch the state lives in the step on JAX, as Keras lets callbacks know.
        getattr(self, "jax_state_sync", lambda: None)()

    def get_config(self):
        parts = ("encoder", "decoder", "likelihood")
        serialize = keras.saving.serialize_keras_object
        return {**super().get_config(), **{name: serialize(getattr(self, name)) for name in parts}}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = keras.saving.deserialize_keras_object(config, custom_objects)
        return super().from_config(config, custom_objects)


def split_inputs(inputs):
    """Returns `(images, conditions)` of what a model is given: images, or a list with them first.

    Raises:
        ValueError: if it is a dictionary, which has no order.
    """
    if isinstance(inputs, dict):
        raise ValueError(
            "Argument `x` must be images, or a list of images and conditions. "
            f"Received: a dictionary of {sorted(inputs)}"
        )
    if isinstance(inputs, (tuple, list)):
        return inputs[0], tuple(inputs[1:])
    return inputs, ()


def check_conditions(inputs, parts, needed=None):
    """Raises `ValueError` where there are more or fewer conditions than a model takes.

    Args:
        inputs: Images or codes, or a list of them and the conditions; a stream passes.
        parts: The encoder, the decoder, or both: none takes more conditions.
        needed: Those of them that are called. Defaults to all.
    """
    most, least = (
        max(len(inputs_of(part)) - 1 for part in some) for some in (parts, needed or parts)
    )
    first, conditions = split_inputs(inputs)
    are_known = is_array(first) and all(inputs_of(part) for part in parts)
    if not are_known or least <= len(conditions) <= most:
        return
    expected = f"{least}" if least == most else f"{least} to {most}"
    hint = ""
    if not conditions:
        hint = ". Pass a list, `[images, condition]`; to `decode` and `generate`, `condition=`"
    elif most:
        hint = ". A list is one condition each; pass one as an array"
    raise ValueError(
        f"Expected {expected} condition{'' if most == 1 else 's'} beside images or codes, as "
        f"encoder and decoder have inputs. Received: {len(conditions)}{hint}"
    )


def check_shapes(inputs, parts):
    """Raises `ValueError` where a condition is none for each image, as the parts take it."""
    first, conditions = split_inputs(inputs)
    taken = max(map(inputs_of, parts), key=len)[1:]
    if is_array(first):
        for condition, tensor in zip(conditions, taken, strict=False):
            check_condition(condition, tensor.shape[1:], first.shape[0])


def part_inputs(part, first, conditions):
    """Returns the list of inputs that an encoder or decoder takes: not all need the conditions."""
    return [first, *conditions][: len(inputs_of(part)) or None]


def call_part(part, first, conditions, training=None, mask=None):
    """Calls an encoder on images, or a decoder on codes, with the conditions that it takes."""
    inputs = part_inputs(part, first, conditions)
    options = {}
    if mask is not None:  # which a tensor does not carry by itself
        options["mask"] = [mask, *[None] * (len(inputs) - 1)] if len(inputs) > 1 else mask
    with warnings.catch_warnings():
        # A functional model does hand the mask of its input on, to its layers.
        warnings.filterwarnings("ignore", message=".*does not support masking")
        return part(inputs if len(inputs) > 1 else first, training=training, **options)


def inputs_of(part):
    """Returns the symbolic inputs of a functional model; of another, which has none, `[]`."""
    return getattr(part, "inputs", None) or []


def _with(z, condition):
    if condition is None:
        return z
    return [z, *(condition if isinstance(condition, (tuple, list)) else [condition])]


def _even(arrays):
    """Repeats the last rows so that all devices of JAX's `DataParallel` have as many."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return arrays
    mesh = distribution.device_mesh
    devices = mesh.shape[mesh.axis_names.index(distribution.batch_dim_name)]
    missing = -len(arrays[0]) % devices
    return [np.concatenate([array, array[-1:].repeat(missing, axis=0)]) for array in arrays]


def _empty(part, arrays):
    """Returns what a part would return for no image, which Keras cannot predict."""
    inputs = [keras.KerasTensor((None, *array.shape[1:])) for array in arrays]
    outputs = part.compute_output_spec(inputs if len(inputs) > 1 else inputs[0])
    return keras.tree.map_structure(lambda spec: np.zeros((0, *spec.shape[1:])), outputs)
