"""Soft-edged implicit shapes for drawing batches of images in NumPy.

Coordinates and parameters broadcast against each other: `x` is (1, 1, width), `y` is
(1, height, 1) growing downwards, a parameter is a number or (batch, 1, 1). A distance is
in the unit of the coordinates, negative inside the shape; unions are `np.minimum`,
intersections `np.maximum`.
"""

from itertools import pairwise

import numpy as np


def pixel_grid(size):
    """Pixel centres with the origin mid-image: x (1, 1, size) and y (1, size, 1), float32."""
    centers = np.arange(size, dtype="float32") - (size - 1) / 2
    return centers[None, None, :], centers[None, :, None]


def coverage(distance, softness=1.0):
    """Share of each pixel inside the shape, in [0, 1], with an edge `softness` wide."""
    return np.clip(0.5 - distance / softness, 0.0, 1.0)


def ellipse(x, y, center_x, center_y, radius_x, radius_y):
    """Approximate signed distance to an axis-aligned ellipse, exact to first order at its edge."""
    u, v = (x - center_x) / radius_x, (y - center_y) / radius_y
    radius = np.sqrt(u * u + v * v)
    gradient = np.sqrt(np.square(u / radius_x) + np.square(v / radius_y))
    return radius * (radius - 1.0) / np.maximum(gradient, 1e-6)


def box(x, y, center_x, center_y, half_width, half_height):
    """Signed distance to an axis-aligned box, with square corners outside too."""
    return np.maximum(np.abs(x - center_x) - half_width, np.abs(y - center_y) - half_height)


def slab(x, y, start_x, start_y, end_x, end_y, start_radius, end_radius):
    """Signed distance to a tapered bar with flat ends from start to end."""
    run, rise = end_x - start_x, end_y - start_y
    length = np.sqrt(run * run + rise * rise)
    run, rise = run / length, rise / length
    along = (x - start_x) * run + (y - start_y) * rise
    across = np.abs((x - start_x) * rise - (y - start_y) * run)
    radius = start_radius + (end_radius - start_radius) / length * along
    return np.maximum(across - radius, np.maximum(along - length, -along))


def profile(t, *knots):
    """Piecewise linear curve through (position, value) knots of growing position, flat outside."""
    curve = knots[0][1]
    for (start, start_value), (end, end_value) in pairwise(knots):
        curve = curve + (end_value - start_value) * np.clip((t - start) / (end - start), 0.0, 1.0)
    return curve


def spline(t, positions, values):
    """Smooth curve (cubic Hermite) with these values at growing positions, flat outside them."""
    last = len(positions) - 1
    before, after = [0, *range(last)], [*range(1, last + 1), last]
    slopes = [
        (values[j] - values[i]) / (positions[j] - positions[i])
        for i, j in zip(before, after, strict=True)
    ]
    curve = values[0]
    for i in range(last):
        length = positions[i + 1] - positions[i]
        s = np.clip((t - positions[i]) / length, 0.0, 1.0)
        curve = curve + (values[i + 1] - values[i]) * s * s * (3.0 - 2.0 * s)
        curve = curve + length * s * (1.0 - s) * (slopes[i] * (1.0 - s) - slopes[i + 1] * s)
    return curve


def bump(x, y, center_x, center_y, radius_x, radius_y):
    """A soft hill of height 1, exactly zero outside its ellipse, for light, shadow and blush."""
    u, v = (x - center_x) / radius_x, (y - center_y) / radius_y
    return np.square(np.maximum(1.0 - u * u - v * v, 0.0))


def span(t, low, high, axis):
    """Signed distance to the region low < t < high between two curves along the other `axis`."""

    def stretch(curve):
        # A steep curve is nearer than the distance along t says.
        return np.sqrt(1.0 + np.square(np.gradient(curve, axis=axis)))

    return np.maximum((low - t) / stretch(low), (t - high) / stretch(high))


def blend(image, mask, tone):
    """Moves the image towards the tone by the mask, in [0, 1]; all broadcast."""
    return image + mask * (tone - image)


def smooth_noise(noise, rows, columns):
    """The first rows x columns values of noise (batch, height, width), stretched over the image."""
    sizes = noise.shape
    for axis, count in ((1, rows), (2, columns)):
        position = np.linspace(0.0, count - 1.001, sizes[axis], dtype="float32")
        weight = (position % 1.0)[:, None] if axis == 1 else position % 1.0
        cell = position.astype(int)
        noise = blend(noise.take(cell, axis), weight, noise.take(cell + 1, axis))
    return noise


def squircle(x, y, squareness):
    """Relative distance to the unit circle, swollen towards the corners of its square."""
    x, y = x * x, y * y
    return np.sqrt(np.maximum(x + y - squareness * np.minimum(x * y, 1.0), 0.0)) - 1.0
