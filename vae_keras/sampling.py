"""The reparameterization trick as a layer: the only random layer of the package."""

import keras
from keras import ops

from vae_keras.train_steps import replica_seed

SEED_STATE = "seed_generator_state"  # its name in a weights file


@keras.saving.register_keras_serializable(package="vae_keras")
class Sampling(keras.layers.Layer):
    """Draws a code from a diagonal Gaussian, differentiably.

    Returns `z = z_mean + exp(z_log_var / 2) * epsilon` with
    `epsilon ~ N(0, I)`. The noise enters as an input that has no parameters,
    so the gradient reaches `z_mean` and `z_log_var` (Kingma & Welling, 2014,
    section 2.4).

    Args:
        seed: Integer, optional random seed to enable deterministic behavior.

    Call arguments:
        inputs: Tuple `(z_mean, z_log_var)` of two tensors of the same shape,
            of any rank. `z_log_var` is the natural logarithm of the variance.

    Returns:
        A tensor of the shape of `z_mean`. Every call draws new noise, in
        training and in inference alike.

    Raises:
        ValueError: if `inputs` is not a pair, or the shapes differ.

    Example:

    >>> z_mean, z_log_var = keras.ops.zeros((4, 2)), keras.ops.zeros((4, 2))
    >>> Sampling(seed=1)((z_mean, z_log_var)).shape
    (4, 2)
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    def build(self, input_shape):
        check_same_shape(input_shape)

    def call(self, inputs):
        z_mean, z_log_var = inputs
        epsilon = keras.random.normal(
            ops.shape(z_mean), dtype=self.compute_dtype, seed=self.seed_generator
        )
        return z_mean + ops.exp(z_log_var / 2) * epsilon

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def save_own_variables(self, store):
        # Keras saves weights, which a seed generator's state is not. Without it a training
        # that is resumed would draw the noise of its first steps again.
        store[SEED_STATE] = self.seed_generator.state

    def load_own_variables(self, store):
        if SEED_STATE in store:  # files of version 0.1.0 have none
            self.seed_generator.state.assign(store[SEED_STATE])

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


class SeedGenerator(keras.random.SeedGenerator):
    """A seed generator whose noise differs between replicas, as Keras's own does not."""

    def next(self, ordered=True):
        return replica_seed(super().next(ordered))


def check_same_shape(shapes):
    """Raises `ValueError` unless `shapes` are those of a mean and its log-variance."""
    is_pair = isinstance(shapes, (tuple, list)) and len(shapes) == 2
    if not is_pair or not all(isinstance(shape, (tuple, list)) for shape in shapes):
        raise ValueError(
            "Expected two tensors, `(z_mean, z_log_var)`, as a VAE's encoder must return them. "
            f"Received something of shape {shapes}"
        )
    if tuple(shapes[0]) != tuple(shapes[1]):
        raise ValueError(
            "`z_mean` and `z_log_var` must have the same shape. "
            f"Received: z_mean of shape {tuple(shapes[0])}, "
            f"z_log_var of shape {tuple(shapes[1])}"
        )
