"""A training loop in PyTorch alone: a compiled loss, its fused Adam."""

import torch
from torch.nn import functional


class Operations:
    reshape, transpose = staticmethod(torch.reshape), staticmethod(torch.permute)
    sum, mean, exp = staticmethod(torch.sum), staticmethod(torch.mean), staticmethod(torch.exp)
    relu, silu = staticmethod(torch.relu), staticmethod(functional.silu)
    softplus, normal = staticmethod(functional.softplus), staticmethod(torch.randn_like)

    def conv(self, x, kernel, stride, padding):
        x, kernel = x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1)
        if padding == "SAME" and stride == 2:  # as Keras pads an even size: on the far side alone
            x, padding = functional.pad(x, (0, 1, 0, 1)), "VALID"
        return functional.conv2d(x, kernel, None, stride, padding.lower()).permute(0, 2, 3, 1)


def make(maths, parameters, rates, compiled=True):
    """Returns a function that takes a step and one that reads, as in `bare.jax`."""
    parameters = [torch.tensor(parameter, requires_grad=True) for parameter in parameters]
    optimizer = torch.optim.Adam(parameters, eps=1e-7, fused=True)

    def loss(x):
        return maths(Operations(), parameters, x)

    if compiled:
        loss = torch.compile(loss)

    count = 0

    def step(x):
        nonlocal count
        optimizer.param_groups[0]["lr"] = float(rates[min(count, len(rates) - 1)])
        count += 1
        optimizer.zero_grad()
        found = loss(x)
        found[0].backward()
        optimizer.step()
        return [value.detach() for value in found]

    return step, lambda: [parameter.detach().numpy() for parameter in parameters]


def keras_step(vae):
    """Returns the same for a compiled VAE's own `train_step`, run as Keras runs it."""
    return lambda x: vae.train_step((x,))


def keras_forward(vae):
    """Returns the same for its `test_step`: no gradients."""
    return torch.no_grad()(lambda x: vae.test_step((x,)))


def wait(result):
    """Does nothing: on a processor PyTorch is done when it returns."""


on_device = torch.from_numpy
