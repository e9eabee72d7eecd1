"""How to step: how many at once, Adam in few operations, a rate for trainings of known length."""

import keras

from vae_keras.train_steps import AdamUpdate

__all__ = ["STEPS_AT_ONCE", "FusedAdam", "warmup_and_cosine"]

#: For `compile(steps_per_execution=STEPS_AT_ONCE)`: 8, so that seven of eight returns to Python
#: are saved, which small networks on TensorFlow notice; 1 on PyTorch, where Keras takes no more.
STEPS_AT_ONCE = 1 if keras.backend.backend() == "torch" else 8


@keras.saving.register_keras_serializable(package="vae_keras")
class FusedAdam(AdamUpdate, keras.optimizers.Adam):
    """Adam whose update is one operation: per variable on TensorFlow, in all on PyTorch.

    `keras.optimizers.Adam` reads and writes each variable and its two moments
    in a dozen operations, which a small network notices. The numbers are the
    same, to the precision of float32 (Kingma & Ba, 2015, the formulation
    before section 2.1, where `epsilon` is the paper's "epsilon hat"). On JAX
    it is `keras.optimizers.Adam`, as the compiler does this by itself.

    Args:
        *args: Those of `keras.optimizers.Adam`. On TensorFlow, with `amsgrad`
            and where a gradient is sparse, it updates as that does.
        **kwargs: Those of `keras.optimizers.Adam`.

    Example:

    >>> vae.compile(FusedAdam(1e-3))
    """


def warmup_and_cosine(peak, steps):
    """A learning rate that rises over a tenth of the steps, then falls along a cosine.

    Args:
        peak: Float, the highest learning rate. It starts and ends at 5 % of it.
        steps: Integer, how many in all.

    Returns:
        A `keras.optimizers.schedules.CosineDecay`.
    """
    warmup = max(1, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        0.05 * peak, max(1, steps - warmup), 0.05, warmup_target=peak, warmup_steps=warmup
    )
