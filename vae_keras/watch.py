"""Stops a training whose images or loss make no sense, in a sentence."""

import keras
import numpy as np
from keras import ops

from vae_keras.checks import check_range
from vae_keras.train_steps import num_replicas

EVERY = 50  # steps: to look at each would make a GPU wait for the callback


class Watch(keras.metrics.Metric):
    """Keeps what a step alone sees: what the first images hold, and when the loss was finite.

    It reports nothing; `Guard` reads it.

    Args:
        bounds: Pair, the least and the greatest value allowed in the images
            to reconstruct, or `None`.
    """

    def __init__(self, bounds, name="watch"):
        super().__init__(name=name)
        self.bounds = bounds
        # Differences and counts, which replicas may add up.
        self.below, self.above, self.finite_steps = (
            self.add_variable((), "zeros", name=name) for name in ("below", "above", "finite_steps")
        )

    def update_state(self, images, loss):
        if self.bounds is not None:
            below, above = ops.cond(
                self.finite_steps > 0,
                lambda: (ops.zeros((), "float32"), ops.zeros((), "float32")),
                lambda: self._excess(ops.cast(images, "float32")),
            )
            self.below.assign_add(below)
            self.above.assign_add(above)
        self.finite_steps.assign_add(ops.cast(ops.isfinite(loss), "float32"))

    def _excess(self, images):
        low, high = self.bounds
        below = ops.maximum(low - ops.min(images), 0.0)
        return below, ops.maximum(ops.max(images) - high, 0.0)

    def result(self):
        return {}

    def finite_steps_of_one(self):
        """Returns how many steps one replica took before the loss ceased to be finite."""
        return int(ops.convert_to_numpy(self.finite_steps)) // num_replicas()

    def check_images(self):
        """Raises `ValueError` if the first images lay outside the bounds."""
        if self.bounds is not None:
            below, above = (
                float(ops.convert_to_numpy(excess)) / num_replicas()
                for excess in (self.below, self.above)
            )
            low, high = self.bounds
            check_range(low - below, high + above, "The images to reconstruct", self.bounds)


class Guard(keras.callbacks.Callback):
    """Raises where a `Watch` saw what nothing can be learned from.

    Raises:
        ValueError: if the first batch of a stream holds values out of bounds.
        FloatingPointError: if the loss ceased to be finite; the weights are
            then those of the end of the last epoch again.
    """

    def on_train_begin(self, logs=None):
        self.epoch = None
        self._keep("before the first")

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.looked, self.calls = epoch, False, 0

    def on_train_batch_end(self, batch, logs=None):
        if self.calls % EVERY == 0:
            self._look()
        self.calls += 1

    def on_test_begin(self, logs=None):
        self.tested = False
        # Keras sets the metrics back before it validates.
        if getattr(self, "epoch", None) is not None:
            self._look()
            self.looked = True

    def on_test_batch_end(self, batch, logs=None):
        if not self.tested:
            self.model._watch.check_images()
            self.tested = True

    def on_epoch_end(self, epoch, logs=None):
        if not self.looked:
            self._look()
        self._check_finite({name: logs[name] for name in logs or {} if "loss" in name}, "the end")
        self.epoch = None
        self._keep(f"of the end of epoch {epoch + 1}")

    def _keep(self, when):
        # Copies: on PyTorch the arrays are the weights themselves, which the next step changes.
        self.weights, self.when = [np.copy(array) for array in self.model.get_weights()], when

    def _look(self):
        model = self.model
        model._watch.check_images()
        losses = {name: float(tracker.result()) for name, tracker in model._trackers.items()}
        self._check_finite(losses, f"step {model._watch.finite_steps_of_one() + 1}")

    def _check_finite(self, losses, where):
        bad = {name: float(loss) for name, loss in losses.items() if not np.isfinite(loss)}
        if not bad:
            return
        if len(self.weights) == len(self.model.weights):
            self.model.set_weights(self.weights)
        raise FloatingPointError(
            f"The loss is not finite since {where} of epoch {self.epoch + 1}: {bad}. The model "
            f"has the weights {self.when} again. Lower the learning rate, let it rise slowly, or "
            "cut gradients (`global_clipnorm` of the optimizer), and compile anew."
        )


def watched(callbacks):
    """Returns callbacks for Keras, a `Guard` among them."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks  # of `fit`, which validates
    return [Guard(), *keras.tree.flatten(callbacks or [])]  # first: the others may write files
