"""Faces drawn from their factors: soft shapes on a turned ellipsoid, with CelebA's framing."""

from types import SimpleNamespace

import numpy as np

from vae_keras.datasets.synthetic.face_edits import EDITABLE_NAMES, edit
from vae_keras.datasets.synthetic.face_factors import ATTRIBUTE_NAMES, attributes, sample_factors
from vae_keras.datasets.synthetic.face_parts import (
    HEAD_HEIGHT,
    HEAD_Y,
    PARTS,
    colours,
    hair_outline,
    hair_tone,
)
from vae_keras.datasets.synthetic.shapes import pixel_grid, squircle

__all__ = ["ATTRIBUTE_NAMES", "EDITABLE_NAMES", "attributes", "draw", "edit", "sample_factors"]

CHUNK_SIZE = 16  # faces painted at once: their canvas and coordinates stay in cache


def draw(factors, image_size=64):
    """Draws faces, a deterministic function of their factors alone.

    Args:
        factors: A dict from factor name to array `(n,)`, as `sample_factors` returns it.
        image_size: Side of the square images in pixels.

    Returns:
        A uint8 array `(n, image_size, image_size, 3)`.
    """
    if image_size < 16:
        raise ValueError(
            f"Argument `image_size` must be at least 16. Received: image_size={image_size}"
        )
    missing = sorted(set(sample_factors(1)) - set(factors))
    if missing:
        raise ValueError(f"Argument `factors` must hold every factor. Missing: {missing}")
    columns = {
        name: np.asarray(values, "float32")[:, None, None] for name, values in factors.items()
    }
    n = len(columns["smile"])
    images = np.empty((n, image_size, image_size, 3), "uint8")
    for start in range(0, n, CHUNK_SIZE):
        chunk = slice(start, start + CHUNK_SIZE)
        canvas = _paint_faces({name: values[chunk] for name, values in columns.items()}, image_size)
        images[chunk] = (np.clip(canvas, 0.0, 1.0) * 255.0 + 0.5).transpose(0, 2, 3, 1)
    return images


def _paint_faces(factors, image_size):
    """All parts in order, each only in its window and on the faces that have it."""
    f = SimpleNamespace(**factors)
    f.softness = np.full_like(f.scale, 3.2 / image_size)
    vars(f).update(colours(f))
    at = _coordinates(f, image_size)
    at.hair_outline, at.hair_tone = hair_outline(at, f), hair_tone(at, f)
    canvas = np.empty((len(f.scale), 3, image_size, image_size), "float32")
    for paint_part, box, presence in PARTS:
        faces = slice(None) if presence is None else np.flatnonzero(getattr(f, presence) > 0.0)
        rows, columns = _window(f, box, image_size)
        part = canvas[faces, :, rows, columns]
        paint_part(part, _take(at, (faces, rows, columns)), _take(f, faces))
        if presence is not None:  # else the part is a view of the canvas
            canvas[faces, :, rows, columns] = part
    return canvas


def _take(arrays, index):
    return SimpleNamespace(**{name: array[index] for name, array in vars(arrays).items()})


def _coordinates(f, image_size):
    """Frame to head, and head to its turned surface; also the surface's normal and outline."""
    column, row = (2.0 / image_size * grid for grid in pixel_grid(image_size))
    column, row = (column - f.shift_x) / f.scale, (row - f.shift_y) / f.scale
    x = column * np.cos(f.roll) + row * np.sin(f.roll)
    y = row * np.cos(f.roll) - column * np.sin(f.roll)
    half_width = 0.53 + 0.025 * f.face_width + 0.015 * f.masculinity
    # The centre moves against the turn so that the eyes stay. 1.2 rather than 1 keeps the depth
    # positive, hence smooth, a little beyond the outline.
    eye_y = HEAD_Y / HEAD_HEIGHT
    turn = np.sin(f.yaw)
    center_x = -half_width * turn * np.sqrt(1.2 - eye_y**2)
    center_y = HEAD_Y - HEAD_HEIGHT * np.sin(f.pitch)
    side, down = (x - center_x) / half_width, (y - center_y) / HEAD_HEIGHT
    depth = np.sqrt(np.maximum(1.2 - side * side - down * down, 0.02))
    u = half_width * (side * np.cos(f.yaw) - depth * turn)
    v = HEAD_HEIGHT * (down - depth * np.sin(f.pitch)) + HEAD_Y
    # Squared tangent of the longitude: 0 at the nose, about 1 at the temples, large at the ears.
    level = np.sqrt(np.maximum(1.2 - side * side - np.square(np.maximum(down, 0.0)), 0.02))
    ahead = np.maximum(level * np.cos(f.yaw) + side * turn, 0.3)
    around = np.square(u / half_width / ahead)
    # The chin lies in front of the ears: it follows the turn, and the jaw tapers towards it.
    below = np.square(np.maximum(down, 0.0))
    taper = 1.0 - (0.28 - 0.16 * f.masculinity) * below
    jaw_side = (side - 0.55 * turn * below) / taper
    outline = squircle(jaw_side, down, 0.15 + 0.2 * f.masculinity) * half_width
    return SimpleNamespace(
        x=x, y=y, u=u, v=v, side=side, down=down, depth=depth, outline=outline, around=around
    )


def _window(f, box, image_size):
    """Rows and columns of the frame that hold a box of upright coordinates on every face."""
    if box is None:
        return slice(None), slice(None)
    left, right, top, bottom = box
    x, y = np.float32([left, right, left, right]), np.float32([top, top, bottom, bottom])
    column = f.shift_x + f.scale * (x * np.cos(f.roll) - y * np.sin(f.roll))
    row = f.shift_y + f.scale * (x * np.sin(f.roll) + y * np.cos(f.roll))
    return tuple(_reach((positions + 1.0) * 0.5 * image_size) for positions in (row, column))


def _reach(pixels):
    return slice(max(0, int(pixels.min()) - 1), max(0, int(pixels.max()) + 2))
