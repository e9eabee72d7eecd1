"""A training loop in TensorFlow alone: one `tf.function`, its fused Adam."""

import tensorflow as tf


class Operations:
    reshape, transpose = staticmethod(tf.reshape), staticmethod(tf.transpose)
    sum, mean, exp = staticmethod(tf.reduce_sum), staticmethod(tf.reduce_mean), staticmethod(tf.exp)
    relu, silu = staticmethod(tf.nn.relu), staticmethod(tf.nn.silu)
    softplus = staticmethod(tf.nn.softplus)

    def normal(self, like):
        return tf.random.normal(tf.shape(like))

    def conv(self, x, kernel, stride, padding):
        return tf.nn.conv2d(x, kernel, stride, padding)


def make(maths, parameters, rates, jit_compile=False):
    """Returns a function that takes a step and one that reads, as in `bare.jax`."""
    rates = tf.constant(rates, "float32")
    parameters = [tf.Variable(parameter) for parameter in parameters]
    first = [tf.Variable(tf.zeros_like(parameter)) for parameter in parameters]
    second = [tf.Variable(tf.zeros_like(parameter)) for parameter in parameters]
    count = tf.Variable(0.0)

    @tf.function(jit_compile=jit_compile)
    def step(x):
        with tf.GradientTape() as tape:
            found = maths(Operations(), list(map(tf.convert_to_tensor, parameters)), x)
        gradients = tape.gradient(found[0], parameters)
        rate = rates[tf.minimum(tf.cast(count, "int32"), len(rates) - 1)]
        count.assign_add(1.0)
        for p, m, v, g in zip(parameters, first, second, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=p.handle,
                m=m.handle,
                v=v.handle,
                beta1_power=0.9**count,
                beta2_power=0.999**count,
                lr=rate,
                beta1=0.9,
                beta2=0.999,
                epsilon=1e-7,
                grad=g,
            )
        return found

    return step, lambda: parameters


def keras_step(vae):
    """Returns the same for a compiled VAE's own `train_step`."""
    step = tf.function(vae.train_step, jit_compile=vae.jit_compile)
    return lambda x: step((x,))


def keras_forward(vae):
    """Returns the same for its `test_step`: no gradients."""
    step = tf.function(vae.test_step, jit_compile=vae.jit_compile)
    return lambda x: step((x,))


def wait(result):
    tf.nest.map_structure(lambda tensor: tensor.numpy(), result)


on_device = tf.constant
