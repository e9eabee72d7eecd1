"""The training step on PyTorch."""

import keras
import torch


def train_step(model, data):
    """Takes one gradient step of `model.compute_loss` on one batch.

    Args:
        model: The compiled model; this function is its `train_step` method.
        data: `x`, `(x, y)` or `(x, y, sample_weight)`, one batch.

    Returns:
        Dict of the running means since the epoch began, by name.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    outputs = model(x, training=True)
    loss = model.compute_loss(x, y, outputs, sample_weight, training=True)
    loss = model.optimizer.scale_loss(loss)
    variables = model.trainable_variables
    # A part that the loss does not use has no gradient.
    gradients = torch.autograd.grad(
        loss, [variable.value for variable in variables], allow_unused=True
    )
    with torch.no_grad():
        model.optimizer.apply(gradients, variables)
    return model.get_metrics_result()


def replica_seed(seed):
    """Returns the seed: there is one replica."""
    return seed
