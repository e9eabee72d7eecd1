"""The two VAEs' losses as functions of a list of parameters, in any backend's own operations.

`nn` is one of the namespaces in `bare.jax`, `bare.tensorflow` and `bare.torch`. The parameters are
in the order of `VAE.trainable_variables`; the losses are means over the batch, in nats per image:
loss, reconstruction, KL.
"""

import math


def dense(nn, parameters, x):
    """The VAE of `networks.dense()` with the Bernoulli likelihood."""
    layers = [parameters[i : i + 2] for i in range(0, len(parameters), 2)]
    x = h = nn.reshape(x, (-1, 784))
    for kernel, bias in layers[:3]:
        h = nn.relu(h @ kernel + bias)
    (to_mean, mean_bias), (to_log_var, log_var_bias) = layers[3:5]
    z_mean, z_log_var = h @ to_mean + mean_bias, h @ to_log_var + log_var_bias
    h = sample(nn, z_mean, z_log_var)
    for kernel, bias in layers[5:8]:
        h = nn.relu(h @ kernel + bias)
    logits = h @ layers[8][0] + layers[8][1]
    log_p = nn.sum(x * logits - nn.softplus(logits), (1,))
    return losses(nn, log_p, z_mean, z_log_var)


def convolutional(nn, parameters, x):
    """The VAE of `networks.convolutional()` with `Gaussian(learn_scale=True)`."""
    *parameters, log_scale = parameters
    layers = [parameters[i : i + 2] for i in range(0, len(parameters), 2)]
    h = nn.silu(nn.conv(x, layers[0][0], 4, "VALID") + layers[0][1])
    for kernel, bias in layers[1:3]:
        h = nn.silu(nn.conv(h, kernel, 2, "SAME") + bias)
    h = nn.reshape(h, (len(x), -1))
    (to_mean, mean_bias), (to_log_var, log_var_bias) = layers[3:5]
    z_mean, z_log_var = h @ to_mean + mean_bias, h @ to_log_var + log_var_bias
    h = nn.silu(sample(nn, z_mean, z_log_var) @ layers[5][0] + layers[5][1])
    h = nn.reshape(h, (len(x), 4, 4, 128))
    for kernel, bias in layers[6:8]:
        h = channels_to_pixels(nn, nn.silu(nn.conv(h, kernel, 1, "SAME") + bias), 2)
    mean = channels_to_pixels(nn, nn.conv(h, layers[8][0], 1, "SAME") + layers[8][1], 4)
    standardized = (x - mean) * nn.exp(-log_scale)
    log_p = -0.5 * standardized * standardized - log_scale - 0.5 * math.log(2 * math.pi)
    return losses(nn, nn.sum(log_p, (1, 2, 3)), z_mean, z_log_var)


def sample(nn, z_mean, z_log_var):
    return z_mean + nn.exp(z_log_var / 2) * nn.normal(z_mean)


def losses(nn, log_p, z_mean, z_log_var):
    reconstruction = -nn.mean(log_p)
    kl = nn.sum(z_mean * z_mean + nn.exp(z_log_var) - 1.0 - z_log_var, (1,))
    kl = 0.5 * nn.mean(kl)
    return reconstruction + kl, reconstruction, kl


def channels_to_pixels(nn, x, factor):
    batch, height, width, channels = x.shape
    x = nn.reshape(x, (batch, height, width, factor, factor, channels // factor**2))
    x = nn.transpose(x, (0, 1, 3, 2, 4, 5))
    return nn.reshape(x, (batch, height * factor, width * factor, channels // factor**2))
