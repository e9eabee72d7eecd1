"""Stops a training whose images or loss make no sense, in a sentence."""

import contextlib
import threading

import keras
import numpy as np
from keras import ops

from vae_keras.checks import check_range
from vae_keras.train_steps import num_replicas


class Watch(keras.metrics.Metric):
    """Keeps what a step alone sees: how far the first images lie outside the bounds.

    It reports nothing; `Guard` reads it.

    Args:
        bounds: Pair, the least and the greatest value allowed in the images
            to reconstruct, or `None`.
    """

    def __init__(self, bounds, name="watch"):
        super().__init__(name=name)
        self.bounds = bounds
        # Differences and a count, which replicas may add up.
        self.steps, self.below, self.above = (
            self.add_variable((), "zeros", name=part) for part in ("steps", "below", "above")
        )

    def update_state(self, images):
        """Looks at the first images, and counts the step.

        Returns:
            0, or NaN where the first images lie outside the bounds: added to
            what a step reports, it tells the callbacks without making the step
            wait for them.
        """
        is_first = ops.cast(self.steps == 0, "float32")
        self.steps.assign_add(1.0)
        if self.bounds is None:
            return 0.0
        images, (low, high) = ops.cast(images, "float32"), self.bounds
        below = is_first * ops.maximum(low - ops.min(images), 0.0)
        above = is_first * ops.maximum(ops.max(images) - high, 0.0)
        self.below.assign_add(below)
        self.above.assign_add(above)
        return ops.where(below + above > 0.0, np.nan, 0.0)

    def result(self):
        return {}

    def check_images(self):
        """Raises `ValueError` if the first images lay outside the bounds."""
        if self.bounds is not None:
            below, above = (
                float(ops.convert_to_numpy(excess)) / num_replicas()
                for excess in (self.below, self.above)
            )
            low, high = self.bounds
            check_range(low - below, high + above, "The images to reconstruct", self.bounds)


class NotFinite(Exception):
    """A loss that Keras reports is not finite."""


class Guard(keras.callbacks.Callback):
    """Stops where the losses that Keras reports cease to be finite.

    A step only looks at those reports, so that Keras may call this from
    other threads (`async_safe`), in any order, while the next steps go on;
    `explain` says the rest.
    """

    async_safe = True

    def __init__(self):
        super().__init__()
        self.weights = self.epoch = self.found = None
        self.begun = self.seen = 0
        self.report = threading.Condition()

    def set_model(self, model):
        super().set_model(model)
        # In a step it is too late to ask: `self.model` on JAX ends the step.
        self.loss_names = model.loss_names

    def on_train_begin(self, logs=None):
        self._keep("before the first")

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1

    def on_train_batch_begin(self, batch, logs=None):
        self.begun += 1

    on_test_batch_begin = on_train_batch_begin

    def on_train_batch_end(self, batch, logs=None):
        self._check_step(logs, batch, f"step {batch + 1} of epoch {self.epoch}")

    def on_test_batch_end(self, batch, logs=None):
        when = "" if self.epoch is None else f" of the validation after epoch {self.epoch}"
        self._check_step(logs, batch, f"step {batch + 1}{when}")

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs, np.inf, f"the end of epoch {self.epoch}")
        self._keep(f"of the end of epoch {self.epoch}")

    def _keep(self, when):
        # Copies: on PyTorch the arrays are the weights themselves, which the next step changes.
        self.weights, self.when = [np.copy(array) for array in self.model.get_weights()], when

    def _check_step(self, logs, batch, where):
        with self.report:
            self.seen += 1
            self.report.notify_all()
            self._check(logs, batch, where)

    def _check(self, logs, batch, where):
        names = [name for name in self.loss_names if name in logs]
        bad = {name: float(logs[name]) for name in names if not np.isfinite(logs[name])}
        if bad and (self.found is None or batch < self.found[0]):
            self.found = batch, bad, where
        if bad:
            raise NotFinite

    def explain(self):
        """Raises what a `NotFinite` stands for.

        Raises:
            ValueError: if the first batch of a stream held values out of bounds.
            FloatingPointError: if the loss ceased to be finite; the weights are
                then those of the end of the last epoch again.
        """
        with self.report:
            # All but the last step's report are under way: an earlier one may come late.
            self.report.wait_for(lambda: self.seen >= self.begun - 1, timeout=10)
        model, (_, bad, where) = self.model, self.found
        if hasattr(model, "_watch"):  # the codes of a flow are arrays, and checked before
            model._watch.check_images()
        message = f"The loss is not finite since {where}: {bad}. "
        if self.weights is None:  # `evaluate`
            raise FloatingPointError(message)
        if len(self.weights) == len(model.weights):
            model.set_weights(self.weights)
            message += f"The model has the weights {self.when} again. "
        else:
            message += "The weights are lost, as the first step made some of them. "
        raise FloatingPointError(
            f"{message}Lower the learning rate, let it rise slowly, or cut gradients "
            "(`global_clipnorm` of the optimizer), and compile anew."
        )


def watched(callbacks):
    """Returns callbacks for Keras, a `Guard` among them."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks  # of `fit`, which validates
    return [Guard(), *keras.tree.flatten(callbacks or [])]  # first: the others may write files


@contextlib.contextmanager
def surviving(model):
    """Gives a model its state back after an error, where Keras has taken it out of the model.

    On JAX a step has the state while it is traced and run: an error there loses it.
    """
    if keras.backend.backend() != "jax":
        yield
        return
    optimizer = getattr(model, "optimizer", None)
    # All that a step takes: `VAE.variables` are without `beta`, which is not saved with weights.
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    variables += model.metrics_variables
    variables += optimizer.variables if optimizer else []
    before = [(variable, variable.value) for variable in variables]
    try:
        yield
    except NotFinite:  # the `Guard` has weights to give back
        raise
    except Exception:
        model.jax_state_sync()  # the state after the last whole step, if there was one
        if not any(value.is_deleted() for _, value in before):
            for variable, value in before:
                variable.assign(value)
        raise


@contextlib.contextmanager
def explained(model, callbacks):
    """Says in a sentence why the `Guard` among the callbacks stopped a training, if it did."""
    try:
        with surviving(model):
            yield
        return
    except NotFinite:
        if isinstance(callbacks, keras.callbacks.CallbackList):
            raise
    callbacks[0].explain()
