"""The training step on JAX: no side effects, all state goes in and comes out."""

import jax
import keras


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
        outputs, updated = model.stateless_call(trainable, non_trainable, x, training=True)
        loss, (_, updated, updated_metrics) = model.stateless_compute_loss(
            trainable, updated, metrics, x, y, outputs, sample_weight, training=True
        )
        with keras.StatelessScope(
            state_mapping=zip(model.optimizer.variables, optimizer, strict=True)
        ):
            loss = model.optimizer.scale_loss(loss)
        return loss, (updated, updated_metrics)

    gradients, (non_trainable, metrics) = jax.grad(loss_and_updates, has_aux=True)(trainable)
    trainable, optimizer = model.optimizer.stateless_apply(optimizer, gradients, trainable)
    with keras.StatelessScope(state_mapping=zip(model.metrics_variables, metrics, strict=True)):
        logs = model.get_metrics_result()
    return logs, (trainable, non_trainable, optimizer, metrics)
