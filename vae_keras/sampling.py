"""The reparameterization trick as a layer: the only random layer of the package."""

import math

import keras
from keras import ops

from vae_keras.checks import check_same_shape
from vae_keras.train_steps import replica_seed

SEED_STATE = "seed_generator_state"  # its name in a weights file
LARGEST = {"float16": 65504.0}  # number; float32's for all others, which reach as far or further


class KeepsNoise:
    """Saves the state of a layer's or a model's `seed_generator` with its weights.

    Keras saves weights, which that state is not. Without it a training that is
    resumed would draw the noise of its first steps again.
    """

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store[SEED_STATE] = self.seed_generator.state

    def load_own_variables(self, store):
        store = {key: store[key] for key in store.keys()}  # noqa: SIM118  it is no dict
        state = store.pop(SEED_STATE, None)  # files of version 0.1.0 have none
        super().load_own_variables(store)
        if state is not None:
            self.seed_generator.state.assign(state)


@keras.saving.register_keras_serializable(package="vae_keras")
class Sampling(KeepsNoise, keras.layers.Layer):
    """Draws a code from a diagonal Gaussian, differentiably.

    Returns `z = z_mean + exp(z_log_var / 2) * epsilon` with
    `epsilon ~ N(0, I)`. The noise enters as an input that has no parameters,
    so the gradient reaches `z_mean` and `z_log_var` (Kingma & Welling, 2014,
    section 2.4). A mask of `z_mean` is passed on.

    Args:
        seed: Integer, optional random seed to enable deterministic behavior.

    Call arguments:
        inputs: Tuple `(z_mean, z_log_var)` of two tensors of the same shape,
            of any rank. `z_log_var` is the natural logarithm of the variance;
            it is cut where the code would overflow.

    Returns:
        A tensor of the shape of `z_mean`. Every call draws new noise, in
        training and in inference alike.

    Raises:
        ValueError: if `inputs` is not a pair, or the shapes differ.

    Example:

    >>> z_mean, z_log_var = keras.ops.zeros((4, 2)), keras.ops.zeros((4, 2))
    >>> z = Sampling(seed=1)((z_mean, z_log_var))
    >>> keras.ops.shape(z)
    (4, 2)
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    def call(self, inputs):
        check_same_shape(keras.tree.map_structure(lambda tensor: tuple(tensor.shape), inputs))
        z_mean, z_log_var = inputs
        epsilon = keras.random.normal(
            ops.shape(z_mean), dtype=self.compute_dtype, seed=self.seed_generator
        )
        # Noise of up to exp(2) = 7 standard deviations fits below the largest number.
        cut = 2.0 * (math.log(LARGEST.get(self.compute_dtype, 3.4e38)) - 2.0)
        return z_mean + ops.exp(ops.minimum(z_log_var, cut) / 2) * epsilon

    def compute_mask(self, inputs, previous_mask):
        return previous_mask and previous_mask[0]

    def compute_output_shape(self, input_shape):
        check_same_shape(input_shape)
        return input_shape[0]

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


class SeedGenerator(keras.random.SeedGenerator):
    """A seed generator whose noise differs between replicas, as Keras's own does not."""

    def next(self, ordered=True):
        return replica_seed(super().next(ordered))
