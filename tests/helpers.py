"""What several test modules do to models, in this process and in fresh ones."""

import keras
import numpy as np
import pytest

BACKEND = keras.backend.backend()
on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="is about TensorFlow")
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="is about JAX")
on_torch = pytest.mark.skipif(BACKEND != "torch", reason="is about PyTorch")
with_double = pytest.mark.skipif(BACKEND == "jax", reason="JAX has no float64 by default")


class Batches(keras.utils.PyDataset):
    """A `PyDataset` over arrays: batches of `batch_size`, in order."""

    def __init__(self, *arrays, batch_size=4):
        super().__init__()
        self.arrays, self.batch_size = arrays, batch_size

    def __len__(self):
        return -(-len(self.arrays[0]) // self.batch_size)

    def __getitem__(self, index):
        rows = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return tuple(array[rows] for array in self.arrays)


class Recorder(keras.callbacks.Callback):
    """Keeps what callbacks such as ModelCheckpoint see."""

    def on_epoch_end(self, epoch, logs=None):
        self.logs = dict(logs)


def fix_noise(vae, epsilon):
    """Makes every draw of noise the same number, so that two trainings can be compared."""
    vae.sampling.call = lambda inputs: inputs[0] + keras.ops.exp(inputs[1] / 2) * epsilon


def remove_noise(vae):
    """Makes `z` the posterior's mean."""
    vae.sampling.call = lambda inputs: inputs[0]


def gradients(function, *arrays):
    """The gradients of `sum(function(*tensors))`, by the backend's own differentiation."""
    tensors = [keras.ops.convert_to_tensor(array) for array in arrays]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            total = keras.ops.sum(function(*tensors))
        found = tape.gradient(total, tensors)
    elif keras.backend.backend() == "jax":
        import jax

        found = jax.grad(lambda tensors: keras.ops.sum(function(*tensors)))(tensors)
    else:
        import torch

        tensors = [tensor.requires_grad_() for tensor in tensors]
        found = torch.autograd.grad(keras.ops.sum(function(*tensors)), tensors)
    return [keras.ops.convert_to_numpy(gradient) for gradient in found]


def set_parameters(model, parameters):
    for variable, value in zip(model.trainable_variables, parameters, strict=True):
        variable.assign(value)


def get_parameters(model):
    return [keras.ops.convert_to_numpy(variable) for variable in model.trainable_variables]


def assert_same_parameters(one, two, rtol=1e-5, atol=1e-7):
    for left, right in zip(one, two, strict=True):
        np.testing.assert_allclose(left, right, rtol=rtol, atol=atol)


def assert_same_history(one, two, rtol=1e-5):
    assert one.keys() == two.keys()
    for name in two:
        np.testing.assert_allclose(one[name], two[name], rtol=rtol)
