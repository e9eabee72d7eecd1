"""A VAE and its gradients written out in NumPy, in double precision: what a backend must equal.

Dense networks of one hidden layer, a Bernoulli likelihood, plain gradient descent; the noise is
a constant. The parameters are in the order of `networks.dense(units=(n,))`.
"""

import numpy as np


def train(parameters, batches, beta, noise, learning_rate):
    """Takes a step on each batch.

    Args:
        parameters: List of ten arrays: a kernel and a bias each of the
            encoder's hidden layer, of `z_mean`, of `z_log_var`, of the
            decoder's hidden layer and of the logits.
        batches: List of arrays `(batch, pixels)`.
        beta: Float, the weight of the KL divergence.
        noise: Float, every `epsilon`.
        learning_rate: Float.

    Returns:
        The losses `(steps, 3)`, each before its step: loss, reconstruction,
        KL; and the parameters after the last.
    """
    parameters = [parameter.astype("float64") for parameter in parameters]
    losses = []
    for x in batches:
        values, gradients = losses_and_gradients(parameters, x, beta, noise)
        losses.append(values)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter -= learning_rate * gradient
    return np.array(losses), parameters


def losses_and_gradients(parameters, x, beta, noise):
    w_in, b_in, w_mean, b_mean, w_log_var, b_log_var, w_z, b_z, w_out, b_out = parameters
    encoded = np.maximum(x @ w_in + b_in, 0)
    z_mean, z_log_var = encoded @ w_mean + b_mean, encoded @ w_log_var + b_log_var
    deviation = np.exp(z_log_var / 2)
    z = z_mean + deviation * noise
    decoded = np.maximum(z @ w_z + b_z, 0)
    logits = decoded @ w_out + b_out
    reconstruction = np.mean(np.sum(np.logaddexp(0, logits) - x * logits, axis=1))
    kl = np.mean(np.sum(z_mean**2 + deviation**2 - 1 - z_log_var, axis=1)) / 2

    by_logits = (1 / (1 + np.exp(-logits)) - x) / len(x)
    by_decoded = (by_logits @ w_out.T) * (decoded > 0)
    by_z = by_decoded @ w_z.T
    by_mean = by_z + beta * z_mean / len(x)
    by_log_var = by_z * noise * deviation / 2 + beta * (deviation**2 - 1) / 2 / len(x)
    by_encoded = (by_mean @ w_mean.T + by_log_var @ w_log_var.T) * (encoded > 0)
    inputs = (x, encoded, encoded, z, decoded)
    outputs = (by_encoded, by_mean, by_log_var, by_decoded, by_logits)
    gradients = []
    for given, by_output in zip(inputs, outputs, strict=True):
        gradients += [given.T @ by_output, by_output.sum(axis=0)]
    return (reconstruction + beta * kl, reconstruction, kl), gradients
