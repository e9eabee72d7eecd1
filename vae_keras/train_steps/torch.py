"""The training step on PyTorch, and Adam's in one operation."""

import math

import keras
import torch

without_gradients = torch.no_grad


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
    loss = model._compute_loss(x, y, outputs, sample_weight, training=True)
    loss = model.optimizer.scale_loss(loss)
    variables = model.trainable_variables
    # A part that the loss does not use has no gradient.
    if variables:
        gradients = torch.autograd.grad(
            loss, [variable.value for variable in variables], allow_unused=True
        )
        with torch.no_grad():
            model.optimizer.apply(gradients, variables)
    return model.compute_metrics(x, y, outputs, sample_weight)


def jvp(function, x, tangent):
    """Returns `function(x)` and how it changes along `tangent`, which is shaped like `x`."""
    return torch.func.jvp(function, (x,), (tangent,))


def num_replicas():
    """Returns 1: there is one replica."""
    return 1


def replica_seed(seed):
    """Returns the seed: there is one replica."""
    return seed


def keep_freed_memory():
    """Does nothing: here nothing tells the allocator to give it back."""


class AdamUpdate:
    """Adam's update of all variables and their moments, one operation per precision."""

    @torch.no_grad()
    def _backend_update_step(self, gradients, variables, learning_rate):
        indices = [self._get_variable_index(variable) for variable in variables]

        def values(moments):
            return [moments[index].value for index in indices]

        step = keras.ops.convert_to_tensor(self.iterations) + 1
        correction = torch.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        # At step infinity PyTorch corrects nothing. By its own correction its `epsilon` would
        # be another one than Keras's.
        never = torch.full_like(correction, math.inf)
        weights = [variable.value for variable in variables]
        # The operation pairs entries by their place in memory, and the gradient of a convolution's
        # kernel comes transposed.
        gradients = [
            gradient
            if gradient.stride() == weight.stride()
            else torch.empty_like(weight, dtype=gradient.dtype).copy_(gradient)
            for gradient, weight in zip(gradients, weights, strict=True)
        ]
        columns = [
            weights,
            gradients,
            values(self._momentums),
            values(self._velocities),
            values(self._velocity_hats) if self.amsgrad else [],
        ]
        # Of one precision each time, which a GPU's kernel wants.
        for dtype in {value.dtype for value in columns[0]}:
            tensors = [[value for value in column if value.dtype == dtype] for column in columns]
            torch._fused_adam_(
                *tensors,
                [never] * len(tensors[0]),
                lr=correction * keras.ops.convert_to_tensor(learning_rate),
                beta1=self.beta_1,
                beta2=self.beta_2,
                weight_decay=0.0,  # Keras has done it
                eps=self.epsilon,
                amsgrad=self.amsgrad,
                maximize=False,
            )
