"""What several test modules do to models, in this process and in fresh ones."""

import keras
import numpy as np


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


def remove_noise(vae):
    """Makes `z` the posterior's mean, so that two trainings can be compared."""
    vae.sampling.call = lambda inputs: inputs[0]


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
