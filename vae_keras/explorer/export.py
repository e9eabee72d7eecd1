"""A decoder as data: its layers in order, and its weights as 16-bit integers with scales."""

import base64

import keras
import numpy as np
from keras import layers, ops

from vae_keras import likelihoods

KNOWN = ("Dense", "Conv2D", "Conv2DTranspose", "Reshape", "Permute", "Concatenate", "Activation")
LARGEST = 32767  # of 16 bits, with a sign
ACTIVATIONS = ("linear", "relu", "leaky_relu", "elu", "silu", "sigmoid", "softplus", "tanh")


def export_decoder(model):
    """Exports the decoder of a model for `explorer.js`.

    Args:
        model: `VAE` or `Autoencoder` whose decoder is a functional model of
            one input, made of the layers that the explorer knows: dense,
            convolution, transposed convolution, reshape, flatten, permute,
            concatenate, activations; dropout and noise do nothing there.

    Returns:
        Dict for JSON.

    Raises:
        ValueError: if the decoder has a layer or a likelihood that the
            explorer does not know, or a second input.
    """
    decoder = model.decoder
    if len(decoder.inputs) != 1:
        raise ValueError(
            "The explorer decodes a code alone: the decoder must have one input. "
            f"Received: a decoder of {len(decoder.inputs)} inputs"
        )
    export = _Export()
    end = export.trace(decoder.outputs[0], {id(decoder.inputs[0]): 0})
    if end != len(export.nodes):  # a decoder that is a code laid out as an image
        raise ValueError("The decoder must end in a layer of its own.")
    shape = _sizes(decoder.outputs[0], "image")
    return {
        "nodes": export.nodes,
        "integers": text_of(np.concatenate([np.zeros(0), *export.integers]), "int16"),
        "floats": text_of(np.concatenate([np.zeros(0), *export.floats]), "float32"),
        "shape": shape,
        "codeShape": _sizes(decoder.inputs[0], "code"),
        "mean": _mean(model.likelihood),
    }


def text_of(array, dtype):
    """Returns numbers as text, little end first: base64."""
    return base64.b64encode(np.asarray(array, "<" + np.dtype(dtype).str[1:]).tobytes()).decode()


def _sizes(tensor, what):
    sizes = list(tensor.shape[1:])
    if any(size is None for size in sizes) or (what == "image" and len(sizes) != 3):
        raise ValueError(
            f"The explorer needs an {what} of known shape, images of height, width and channels. "
            f"Received: {what} of shape {tuple(sizes)}"
        )
    return sizes


def _mean(likelihood):
    if isinstance(likelihood, likelihoods.Bernoulli):
        return "sigmoid"
    if isinstance(likelihood, likelihoods.ContinuousBernoulli):
        return "continuous_bernoulli"
    if isinstance(likelihood, likelihoods.Gaussian) and likelihood.bounds == (0.0, 1.0):
        return "clip"
    raise ValueError(
        "The explorer knows the likelihoods Bernoulli, ContinuousBernoulli and Gaussian with "
        f"bounds (0.0, 1.0). Received: likelihood={type(likelihood).__name__}"
    )


class _Export:
    """Follows tensors back to the code, and lists what makes them, first things first."""

    def __init__(self):
        self.nodes, self.integers, self.floats = [], [], []

    def trace(self, tensor, known):
        """Returns the number of the value that a tensor is: 0 is the code."""
        if id(tensor) not in known:
            layer, node_index, tensor_index = tensor._keras_history
            inputs = [self.trace(t, known) for t in layer._inbound_nodes[node_index].input_tensors]
            if isinstance(layer, keras.Model):
                inner = {id(t): number for t, number in zip(layer.inputs, inputs, strict=True)}
                known[id(tensor)] = self.trace(layer.outputs[tensor_index], inner)
            else:
                known[id(tensor)] = self._add(layer, inputs)
        return known[id(tensor)]

    def _add(self, layer, inputs):
        if isinstance(layer, (layers.Dropout, layers.GaussianNoise)):
            return inputs[0]
        kind, config, arrays = _described(layer)
        node = {"layer": kind, "inputs": inputs, "config": config}
        if arrays:
            node |= self._store(*arrays)
        self.nodes.append(node)
        return len(self.nodes)

    def _store(self, kernel, bias=None):
        """Returns where the numbers of a layer begin, and how many there are."""
        # A scale for each output: its weights differ less from each other than from the others',
        # so that an integer is nearer to them than a half-precision float.
        kernel = ops.convert_to_numpy(kernel).astype("float64")
        scale = np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1))) / LARGEST
        integers = np.round(kernel / np.where(scale > 0.0, scale, 1.0))
        places = {"kernel": _append(self.integers, integers), "scale": _append(self.floats, scale)}
        if bias is not None:
            places["bias"] = _append(self.floats, ops.convert_to_numpy(bias))
        return places


def _append(parts, array):
    start = sum(part.size for part in parts)
    parts.append(np.ravel(array))
    return [start, start + array.size]


def _described(layer):
    """Returns what `explorer.js` calls a layer, its settings and its arrays."""
    kind = type(layer).__name__
    if kind == "Flatten":
        return "Reshape", {"shape": [int(np.prod(layer.input.shape[1:]))]}, []
    if kind == "ReLU" and (layer.max_value, layer.negative_slope, layer.threshold) == (None, 0, 0):
        return "Activation", {"activation": "relu"}, []
    if kind not in KNOWN or type(layer).__module__.split(".")[0] != "keras":
        raise ValueError(
            f"The explorer does not know the layer {kind} (named {layer.name!r}). It knows "
            f"{', '.join(KNOWN)}, Flatten, ReLU, Dropout and GaussianNoise."
        )
    return kind, _config(layer, kind), _arrays(layer, kind)


def _config(layer, kind):
    config = {}
    if hasattr(layer, "activation"):
        config["activation"] = _activation(layer)
    if kind == "Dense":
        config["units"] = layer.units
    elif kind == "Reshape":
        config["shape"] = [int(size) for size in layer.output.shape[1:]]
    elif kind == "Permute":
        config["dims"] = list(layer.dims)
    elif kind == "Concatenate":
        rank = len(layer.output.shape)
        if layer.axis not in (-1, rank - 1):
            raise ValueError(
                "The explorer concatenates along the last axis. "
                f"Received: layer {layer.name!r} with axis={layer.axis}"
            )
    elif kind.startswith("Conv"):
        config |= _convolution(layer, kind)
    return config


def _activation(layer):
    name = getattr(layer.activation, "__name__", str(layer.activation))
    if name not in ACTIVATIONS:
        raise ValueError(
            f"The explorer knows the activations {', '.join(ACTIVATIONS)}. "
            f"Received: layer {layer.name!r} with activation={name!r}"
        )
    return name


def _convolution(layer, kind):
    plain = getattr(layer, "groups", 1) == 1 and tuple(layer.dilation_rate) == (1, 1)
    if not plain or layer.padding not in ("same", "valid") or layer.data_format == "channels_first":
        raise ValueError(
            "The explorer knows convolutions without groups and dilation, channels last. "
            f"Received: layer {layer.name!r}"
        )
    inside, outside = layer.input.shape[1:3], layer.output.shape[1:3]
    if kind == "Conv2DTranspose":  # the gradient of a convolution from its output to its input
        inside, outside = outside, inside
        if getattr(layer, "output_padding", None) is not None:
            raise ValueError(
                "The explorer knows transposed convolutions without output padding. "
                f"Received: layer {layer.name!r}"
            )
    before = [0, 0]
    if layer.padding == "same":  # of an odd margin the larger half stands behind
        sides = zip(inside, outside, layer.strides, layer.kernel_size, strict=True)
        before = [max((out - 1) * step + size - side, 0) // 2 for side, out, step, size in sides]
    return {
        "size": list(layer.kernel_size),
        "filters": layer.filters,
        "stride": list(layer.strides),
        "before": before,
        "out": [int(size) for size in layer.output.shape[1:3]],
    }


def _arrays(layer, kind):
    if kind not in ("Dense", "Conv2D", "Conv2DTranspose"):
        return []
    kernel = ops.convert_to_numpy(layer.kernel)
    if kind == "Conv2DTranspose":
        kernel = np.swapaxes(kernel, 2, 3)
    return [kernel] + ([layer.bias] if layer.use_bias else [])
