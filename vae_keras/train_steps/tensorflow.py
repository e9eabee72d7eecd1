"""The training step on TensorFlow."""

import keras
import tensorflow as tf


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
        loss = model.compute_loss(x, y, outputs, sample_weight, training=True)
        # Replicas add their gradients up, so each differentiates its share of the mean.
        loss = loss / tf.distribute.get_strategy().num_replicas_in_sync
        loss = model.optimizer.scale_loss(loss)
    variables = model.trainable_variables
    model.optimizer.apply(tape.gradient(loss, variables), variables)
    return model.get_metrics_result()
