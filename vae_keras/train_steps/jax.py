"""The training step on JAX: no side effects, all state goes in and comes out."""

import contextlib

import jax
import keras

without_gradients = contextlib.nullcontext  # a gradient is taken of functions alone


def train_step(model, state, data):
    """Takes one gradient step of `model.compute_loss` on one batch.

    Args:
        model: The compiled model; this function is its `train_step` method.
        state: Tuple of four lists: trainable, non-trainable, optimizer and
            metrics variables.
        data: `x`, `(x, y)` or `(x, y, sample_weight)`, one batch.

    Returns:
        `(logs, state)`: the running means since the epoch began, by name, and
        the state after the step.
    """
    trainable, non_trainable, optimizer, metrics = state
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)

    def loss_and_updates(trainable):
        references = (
            *model.trainable_variables,
            *model.non_trainable_variables,
            *model.optimizer.variables,
            *model.metrics_variables,
        )
        values = (*trainable, *non_trainable, *optimizer, *metrics)
        mapping = list(zip(references, values, strict=True))
        # One scope for both, so that the loss finds what layers added during the call.
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            outputs = model(x, training=True)
            loss = model._compute_loss(x, y, outputs, sample_weight, training=True)
            loss = model.optimizer.scale_loss(loss)
            logs = model.compute_metrics(x, y, outputs, sample_weight)
        non_trainable_and_metrics = (
            [scope.get_current_value(variable) for variable in variables]
            for variables in (model.non_trainable_variables, model.metrics_variables)
        )
        return loss, (logs, *non_trainable_and_metrics)

    gradient = jax.grad(loss_and_updates, has_aux=True)
    gradients, (logs, non_trainable, metrics) = gradient(trainable)
    trainable, optimizer = model.optimizer.stateless_apply(optimizer, gradients, trainable)
    return logs, (trainable, non_trainable, optimizer, metrics)


def jvp(function, x, tangent):
    """Returns `function(x)` and how it changes along `tangent`, which is shaped like `x`."""
    return jax.jvp(function, (x,), (tangent,))


def num_replicas():
    """Returns 1: the model is one, however its batch is sharded."""
    return 1


def replica_seed(seed):
    """Returns the seed: one draw fills a global array, however it is sharded."""
    return seed


def keep_freed_memory():
    """Does nothing: here nothing tells the allocator to give it back."""


class AdamUpdate:
    """Adam's update as it is: the compiler makes one operation of it."""
