"""What is TensorFlow's own: the training step, its replicas and memory, Adam in one operation."""

import contextlib
import ctypes
import functools
import sys

import keras
import tensorflow as tf

without_gradients = contextlib.nullcontext  # a tape records what is asked for, and no more

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's <malloc.h>


def train_step(model, data):
    """Takes one gradient step of `model.compute_loss` on one batch.

    Args:
        model: The compiled model; this function is its `train_step` method.
        data: `x`, `(x, y)` or `(x, y, sample_weight)`, one batch.

    Returns:
        Dict of the running means since the epoch began, by name.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    with tf.GradientTape() as tape:
        outputs = model(x, training=True)
        loss = model._compute_loss(x, y, outputs, sample_weight, training=True)
        loss = model.optimizer.scale_loss(loss * replica_share(x))
    variables = model.trainable_variables
    model.optimizer.apply(tape.gradient(loss, variables), variables)
    return model.compute_metrics(x, y, outputs, sample_weight)


def jvp(function, x, tangent):
    """Returns `function(x)` and how it changes along `tangent`, which is shaped like `x`."""
    with tf.autodiff.ForwardAccumulator(x, tangent) as accumulator:
        y = function(x)
    return y, accumulator.jvp(y, tf.UnconnectedGradients.ZERO)


def num_replicas():
    """Returns how many replicas of the model the strategy in use trains."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def replica_share(x):
    """Returns which share of all images this replica has: their gradients are added up."""
    if num_replicas() == 1:
        return 1.0
    count = tf.cast(tf.shape(keras.tree.flatten(x)[0])[0], "float32")
    return count / tf.distribute.get_replica_context().all_reduce("SUM", count)


def replica_seed(seed):
    """Returns a seed for each replica of a strategy, which mirrors the one that is given."""
    context = tf.distribute.get_replica_context()
    replica = 0 if context is None else context.replica_id_in_sync_group
    # Far apart, so that layers with neighbouring seeds do not meet.
    return seed + tf.cast([1_000_003 * replica, 0], seed.dtype)


@functools.cache  # once per process
def keep_freed_memory():
    """Undoes what TensorFlow tells the allocator when it first reads from a generator.

    Through one it reads every `PyDataset`, and from then on glibc gives back
    all that is freed beyond 128 kB and asks for it again in the next step:
    1,900 page faults and a quarter of the time of a step on faces. The two
    thresholds set here are those that glibc's own adjustment ends at.
    """
    for _ in tf.data.Dataset.from_generator(lambda: [0.0], output_types="float32"):
        pass
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 2**25)
        mallopt(M_TRIM_THRESHOLD, 2**26)


class AdamUpdate:
    """Adam's update of a variable and its two moments in one operation."""

    def _backend_update_step(self, gradients, variables, learning_rate):
        # What all variables share is computed once: a small network notices each operation.
        step = tf.cast(self.iterations + 1, "float32")
        powers = [tf.cast(beta, "float32") ** step for beta in (self.beta_1, self.beta_2)]
        super()._backend_update_step(gradients, variables, (learning_rate, *powers))

    def update_step(self, gradient, variable, learning_rate):
        learning_rate, *powers = learning_rate  # as packed above
        is_sparse = isinstance(gradient, tf.IndexedSlices)  # of an embedding
        if self.amsgrad or is_sparse:
            super().update_step(gradient, variable, learning_rate)
            return

        def number(value):
            return tf.cast(value, variable.dtype)

        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=number(powers[0]),
            beta2_power=number(powers[1]),
            lr=number(learning_rate),
            beta1=number(self.beta_1),
            beta2=number(self.beta_2),
            epsilon=number(self.epsilon),
            grad=number(gradient),
        )
