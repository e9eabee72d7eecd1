"""Drawn garments: the ten Fashion-MNIST classes from a seed, with no download.

Every garment is a handful of soft-edged shapes whose sizes, tones and textures vary
continuously, so that each class is a connected manifold, as in the photographs.
Positions are in pixels from the middle of the image, y downwards; tones are in [0, 1].
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from vae_keras.datasets.synthetic.chances import NUM_CHANCES, Chances
from vae_keras.datasets.synthetic.shapes import (
    blend,
    box,
    coverage,
    ellipse,
    pixel_grid,
    profile,
    slab,
    smooth_noise,
    span,
    spline,
)

CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

SIZE = 28
CHUNK = 500  # images drawn together: their arrays stay in the processor's cache
X, Y = pixel_grid(SIZE)
TOP, BOTTOM = -14.0, 14.0


def draw(labels, seed=0):
    """Returns one drawn garment per label: uint8, (n, 28, 28), on black.

    Args:
        labels: integers in 0..9, (n,).
        seed: non-negative integer; image i depends on it, on i and on `labels[i]` alone.
    """
    labels = _check_labels(labels)
    images = np.empty((len(labels), SIZE, SIZE), "uint8")

    def draw_chunk(start):
        # A whole chunk of random numbers, however few are used: more images change no earlier one.
        rng = np.random.default_rng([seed, start])
        uniforms = rng.random((CHUNK, NUM_CHANCES), dtype="float32")
        noise = rng.standard_normal((CHUNK, SIZE, SIZE), dtype="float32")
        chunk = labels[start : start + CHUNK]
        for label in np.unique(chunk):
            rows = np.flatnonzero(chunk == label)
            chances = Chances(uniforms[rows, :, None, None])  # each (batch, 1, 1)
            image = PAINTERS[label](chances, noise[rows])
            images[start + rows] = np.clip(image * 255.0 + 0.5, 0.0, 255.0).astype("uint8")

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(draw_chunk, range(0, len(labels), CHUNK)))  # the list raises their errors
    return images


def _check_labels(labels):
    array = np.asarray(labels)
    integers = np.issubdtype(array.dtype, np.integer)
    if array.ndim != 1 or not integers or (array.size and (array.min() < 0 or array.max() > 9)):
        raise ValueError(f"Argument `labels` must be integers in 0..9. Received: labels={labels}")
    return array


def _cloth(f, noise, stripes=0.0, checks=0.0, prints=0.08, dark=0.4, drape=0.06):
    """Tone of a piece of cloth, (batch, 28, 28): light, folds, yarn and, sometimes, a pattern."""
    tone = f.around(0.83, 0.07) - f.sometimes(dark) * f.between(0.05, 0.65)
    light = 1.0 + f.around(0.0, 0.008) * X + f.around(0.0, 0.008) * Y
    light = light - f.around(0.03, 0.05) * np.square(X / 8.0 - f.around(0.0, 0.3))
    folds = smooth_noise(noise, 5, 11) + 0.7 * smooth_noise(noise[:, ::-1], 9, 7)
    light = light + f.between(0.2, 1.8) * drape * folds
    ribs = noise[:, :1] * 0.05 * np.square(f.between(0.0, 1.0))
    grain = noise * (0.012 + 0.07 * f.between(0.0, 1.0) ** 3)
    motif = blend(smooth_noise(noise, 20, 17), f.between(0.0, 1.0), smooth_noise(noise, 11, 9))
    motif = np.clip(f.between(0.8, 3.5) * motif - f.around(0.3, 0.6), -1.0, 1.0)
    pattern = f.sometimes(prints) * f.between(0.08, 0.4) * motif

    def bands(t, strength):
        wave = np.sin(f.between(0.5, 1.8) * t + f.between(0.0, 6.3)) - f.around(0.2, 0.4)
        return strength * f.between(0.05, 0.35) * np.clip(3.0 * wave, -1.0, 1.0)

    plaid = f.sometimes(checks)
    pattern = pattern + bands(Y, np.maximum(plaid, f.sometimes(stripes)))
    pattern = pattern + bands(X, np.maximum(plaid, f.sometimes(0.3 * stripes)))
    return np.clip(tone * (light + ribs + grain + pattern), 0.03, 0.97 + 0.03 * tone)


def _upper(f, cloth, sizes, reach, neck_depth, vee, bare=0.0):
    """A garment for the upper body.

    `sizes` are mean half widths: neck, shoulder, chest, waist, hem, sleeve. `reach` is the
    sleeves' length, from 0 to 1 (wrist); `bare` takes them off, and cuts the neck deeper.
    Returns the image, its own x, its distance from the neckline and the body's coverage.
    """
    neck, shoulder, chest, waist, hem, sleeve = (f.around(s, 0.25 + 0.045 * s) for s in sizes)
    shoulder, reach = shoulder * (1.0 - 0.25 * bare), reach * (1.0 - 0.95 * bare)
    x = (X - f.around(-0.4, 0.4) - f.around(0.0, 0.015) * Y) / f.around(1.0, 0.07)
    armpit, bottom = TOP + f.between(1.5, 3.2), BOTTOM - np.square(f.between(0.0, 1.5))
    knots = (TOP, neck + 0.8), (armpit, shoulder), (-6.0, chest), (2.0, waist), (BOTTOM, hem)
    edge = profile(Y, *knots)
    body = span(np.abs(x), -edge, edge, 1)
    body = np.maximum(body, Y - bottom + f.around(0.0, 0.01) * np.square(x))

    middle, wrist = shoulder * f.around(1.36, 0.05), shoulder + f.around(1.7, 0.6)
    cuff_x = profile(reach, (0.0, shoulder), (0.3, middle), (1.0, wrist))
    cuff_y = profile(reach, (0.0, armpit + 1.0), (0.3, -6.0), (1.0, f.around(12.6, 0.9)))
    bulge = f.between(0.8, 2.4) * np.clip(1.0 - np.square((Y + 2.0) / 12.0), 0.0, 1.0) * reach
    wide = sleeve * np.clip(reach * 6.0, 0.05, 1.0)
    start, end = (shoulder - wide, armpit + 0.75 * wide), (cuff_x, cuff_y)
    arm = coverage(slab(np.abs(x) - bulge, Y, *start, *end, wide, wide * f.between(0.7, 1.0)))
    covered = coverage(body)
    image = blend(arm * np.clip(cloth * f.around(1.02, 0.1), 0.0, 1.0), covered, cloth)
    # Where the sleeve passes behind the body there is a dark seam.
    seam = f.between(0.0, 0.9) * coverage(np.abs(body - 0.4) - 0.1) * coverage(armpit + 1.5 - Y)
    image = image * (1.0 - seam * arm)
    image, neckline = _neck(f, image, x, cloth, neck, neck_depth + 2.5 * bare, vee)
    return image, x, neckline, covered


def _neck(f, image, x, cloth, width, depth, vee):
    """Cuts the neck, round or (`vee`) pointed; returns the image and the distance to the cut."""
    level = np.clip((Y - TOP) / depth, 0.0, 1.5)
    curve = np.sqrt(np.clip(1.0 - level * level, 0.0, 1.0))
    curve = curve + vee * (1.0 - level - curve) - np.clip(level - 1.0, 0.0, 1.0)
    neckline = (np.abs(x) - width * curve) * 0.8
    band = f.sometimes(0.5) * coverage(np.abs(neckline - 0.6) - 0.5)
    band = band * (level < 1.3) * (image > 0.02)
    image = blend(image, band, np.minimum(cloth * f.between(0.5, 1.3), 1.0))
    inside = f.sometimes(0.65) * f.between(0.2, 0.9) * coverage(TOP + f.between(0.5, 2.0) - Y)
    return blend(image, coverage(neckline), inside), neckline


def _logo(f, noise, image, x, covered, probability):
    """A print on the chest: from a small badge to a large picture or a line of letters."""
    y, width, height = f.between(-8.0, -1.0), f.between(0.8, 5.0), f.between(0.6, 4.0)
    disc = ellipse(x, Y, 0.0, y, width, height)
    mask = blend(disc, f.sometimes(0.5), box(x, Y, 0.0, y, width, height))
    letters = np.clip(0.7 + f.between(0.0, 0.8) * smooth_noise(noise, 20, 14), 0.0, 1.0)
    mask = f.sometimes(probability) * coverage(mask) * covered * letters
    return blend(image, mask, f.between(0.0, 1.0))


def _front(f, image, x, covered, line, buttons):
    """A front that opens: a placket or zip, and buttons along it."""
    x = x - f.around(0.0, 0.3)
    strip = coverage(np.abs(x) - f.between(0.0, 0.8)) * covered
    image = image * (1.0 - line * f.between(0.1, 0.8) * strip)
    image = blend(image, f.sometimes(0.15) * line * strip, f.between(0.5, 1.0))
    row = coverage(0.7 - np.cos(f.between(1.0, 2.6) * Y + f.between(0.0, 6.3)))
    dot = coverage(np.abs(x - f.around(0.4, 0.3)) - 0.3) * row * covered
    return blend(image, buttons * dot, f.between(0.0, 1.0))


def _collar(f, image, x, neckline, cloth, strength, height):
    """Two flaps that fold down beside the neck."""
    lower = TOP + height - 0.35 * np.abs(x)
    flap = coverage(np.maximum(neckline - f.between(1.0, 2.5), Y - lower)) * (image > 0.02)
    image = blend(image, strength * flap, np.minimum(cloth * f.between(0.7, 1.3), 1.0))
    crease = coverage(np.abs(Y - lower) - 0.2) * (neckline < 3.0)
    return image * (1.0 - strength * f.between(0.1, 0.6) * crease)


def _hem_band(f, image):
    """A ribbed band along the lower edge."""
    below = f.sometimes(0.5) * coverage(f.between(10.0, 12.5) - Y)
    return image * (1.0 - below * f.between(-0.1, 0.4) * (1.0 + 0.5 * np.sin(3.0 * X)))


def _t_shirt(f, noise):
    cloth = _cloth(f, noise, stripes=0.12, prints=0.1)
    sizes = (3.4, 7.5, 7.0, 6.8, 7.0, 2.8)
    reach, depth = f.between(0.16, 0.42), f.between(1.5, 3.5)
    vee, bare = f.sometimes(0.2), f.sometimes(0.2)
    image, x, _, covered = _upper(f, cloth, sizes, reach, depth, vee, bare)
    return _logo(f, noise, image, x, covered, 0.4)


def _pullover(f, noise):
    cloth = _cloth(f, noise, stripes=0.15, prints=0.08)
    sizes = (3.1, 7.2, 6.7, 6.3, 6.1, 2.1)
    reach, depth, vee = f.around(0.96, 0.05), f.between(1.0, 3.0), f.sometimes(0.2)
    image, x, _, covered = _upper(f, cloth, sizes, reach, depth, vee)
    return _hem_band(f, _logo(f, noise, image, x, covered, 0.25))


def _coat(f, noise):
    cloth = _cloth(f, noise, stripes=0.03, prints=0.05)
    sizes = (2.4, 6.9, 6.7, 6.4, 6.8, 2.1)
    reach, depth = f.around(0.95, 0.05), f.between(1.5, 7.0)
    image, x, neckline, covered = _upper(f, cloth, sizes, reach, depth, vee=1.0)
    image = _front(f, image, x, covered, line=f.sometimes(0.9), buttons=f.sometimes(0.3))
    pocket = coverage(np.abs(Y - f.between(2.0, 7.0) - f.around(0.0, 0.2) * np.abs(x)) - 0.3)
    pocket = pocket * coverage(np.abs(np.abs(x) - 4.0) - 1.5) * f.sometimes(0.5)
    image = image * (1.0 - f.between(0.1, 0.6) * pocket)
    return _collar(f, image, x, neckline, cloth, f.sometimes(0.8), f.between(3.0, 7.0))


def _shirt(f, noise):
    cloth = _cloth(f, noise, stripes=0.12, checks=0.12, prints=0.17)
    short = f.sometimes(0.4) * f.between(0.3, 0.75)
    sizes = (2.9, 7.1, 6.7, 6.4, 6.6, 2.2)
    reach, depth, vee = f.around(0.96, 0.05) - short, f.between(1.5, 5.0), f.sometimes(0.6)
    image, x, neckline, covered = _upper(f, cloth, sizes, reach, depth, vee)
    placket = f.sometimes(0.6)
    image = _front(f, image, x, covered, line=placket * 0.6, buttons=placket * f.sometimes(0.6))
    return _collar(f, image, x, neckline, cloth, placket, f.between(2.5, 4.0))


def _dress(f, noise):
    cloth = _cloth(f, noise, stripes=0.07, prints=0.12)
    flare = np.square(f.between(0.0, 1.0))
    sizes = (2.4, 4.9, 4.4, 4.2 + 0.8 * flare, 4.7 + 4.5 * flare, 1.7)
    reach, depth = f.between(0.12, 0.45) + 0.4 * f.sometimes(0.3), f.between(1.5, 4.0)
    vee, bare = f.sometimes(0.3), f.sometimes(0.45)
    image, x, _, _ = _upper(f, cloth, sizes, reach, depth, vee, bare)
    belt = coverage(np.abs(Y - f.between(-4.0, 1.0)) - 0.5)
    image = image * (1.0 - f.sometimes(0.4) * f.between(0.1, 0.8) * belt)
    pleats = 1.0 + np.sin(f.between(1.2, 2.6) * x * 8.0 / (8.0 + np.clip(Y, 0.0, 14.0) * flare))
    return image * (1.0 - f.sometimes(0.35) * f.between(0.03, 0.2) * coverage(-Y, 8.0) * pleats)


def _trouser(f, noise):
    cloth = _cloth(f, noise, stripes=0.02, prints=0.04, dark=0.3, drape=0.07)
    lean = f.around(0.0, 0.02) * np.square(Y / 4.0) + f.around(0.0, 0.025) * Y
    x = (X + 0.2 - lean) / f.around(1.0, 0.09)
    crotch, waist, ankle = f.around(-5.0, 1.0), f.around(4.0, 0.4), f.around(4.6, 0.6)
    hip, hem = waist + f.between(0.4, 1.6), ankle + f.around(0.2, 0.6)
    outer = spline(Y, (TOP, -6.0, 3.0, BOTTOM), (waist, hip, ankle, hem))
    gap = profile(Y, (crotch, -0.8), (crotch + 1.0, 0.2), (BOTTOM, f.around(1.7, 0.5)))
    end = BOTTOM - np.square(f.between(0.0, 1.6))
    image = coverage(np.maximum(span(np.abs(x), gap, outer, 1), Y - end)) * cloth
    fly = coverage(np.abs(x) - 0.3) * coverage(Y - crotch) * f.between(0.0, 0.5)
    band = coverage(np.abs(Y - TOP - 1.8) - 0.4) * f.between(0.0, 0.4)
    pocket = coverage(np.abs(Y + 9.5 - np.abs(x)) - 0.3) * coverage(Y + 7.5) * f.between(0.0, 0.5)
    crease = coverage(np.abs(np.abs(x) - 3.0) - 1.0, 2.0) * coverage(-Y - 8.0, 6.0)
    image = image * (1.0 - fly) * (1.0 - band) * (1.0 - pocket)
    return image * (1.0 + f.around(0.0, 0.12) * crease)


def _sole(f, ground, heel):
    """The curve under the foot: flat at the ball, up by `heel` at the back, a little at the toe."""
    toe, ball, seat = ground - f.between(0.3, 1.6), f.around(-4.0, 1.0), ground - heel
    return spline(X, (-14.0, -10.0, ball, 8.0, 14.0), (toe, ground, ground, seat, seat))


def _sneaker(f, noise):
    cloth = _cloth(f, noise, prints=0.08, drape=0.06)
    height, ground = f.around(11.2, 1.7), f.around(7.0, 1.0)
    toe, tongue, dip = f.around(0.36, 0.05), f.around(0.84, 0.05), f.between(0.72, 0.98)
    positions = (-14.5, -12.5, -7.0, f.around(-0.5, 1.0), f.around(3.5, 0.5), 8.0, 12.5, 14.5)
    tab = f.between(0.75, 1.05)
    values = (0.1, toe, toe + f.around(0.16, 0.04), tongue, 1.0, dip, tab, 0.6)
    depth = Y - ground + height * spline(X, positions, values)  # below the upper edge
    bottom = _sole(f, ground, 0.0)
    shape = coverage(span(Y, Y - depth, bottom, 2))
    image = _sneaker_trim(f, shape * cloth, shape, depth)
    line = bottom - f.between(0.8, 3.2)
    image = blend(image, shape * coverage(line - Y), f.between(0.2, 1.0) + 0.04 * noise)
    return image * (1.0 - f.between(0.0, 0.7) * coverage(np.abs(Y - line) - 0.2))


def _sneaker_trim(f, image, shape, depth):
    """Panels of leather, stripes on the side, laces and the shadow where the foot goes in."""
    for center, width in ((-9.5, 4.0), (-2.0, 3.5), (4.0, 3.0), (11.0, 3.0)):
        panel = coverage(np.abs(X - center - f.around(0.3, 0.15) * Y) - width)
        image = image * (1.0 + f.around(0.0, 0.12) * panel)
    slant = np.sin(f.between(1.0, 2.2) * (X + f.around(0.7, 0.5) * Y) + f.between(0.0, 6.3))
    side = coverage(np.abs(X - f.around(1.0, 1.5)) - f.between(2.0, 5.0)) * coverage(1.5 - depth)
    stripe = f.sometimes(0.6) * f.between(0.1, 0.6) * side * np.clip(2.0 * slant, 0.0, 1.0)
    laces = coverage(np.abs(X + 1.0) - 3.5) * coverage(np.abs(depth - 1.2) - 0.8)
    knots = 0.6 + 0.4 * np.sin(f.between(1.8, 2.8) * (X - 0.5 * Y) + f.between(0.0, 6.3))
    image = blend(image * (1.0 - stripe), shape * laces * f.between(0.0, 0.7), knots)
    throat = coverage(depth - 1.5) * coverage(np.abs(X - 7.5) - 3.0)
    return image * (1.0 - f.between(0.0, 0.8) * throat)


def _heel(f, ground, height):
    """Distance to a heel that stands on the ground, from a needle to a block."""
    width = f.between(0.5, 2.6)
    back = f.around(12.4, 0.4) - width
    start, end = (back, ground - height - 1.0), (back + f.around(0.2, 0.4), ground)
    return slab(X, Y, *start, *end, width * f.between(1.0, 1.3), width)


def _ankle_boot(f, noise):
    cloth = _cloth(f, noise, prints=0.03, dark=0.3, drape=0.04)
    heel = np.clip(f.between(-5.0, 9.0), 1.0, 9.0)
    rise = f.around(19.0, 2.3) + 0.6 * heel
    ground, collar = 0.5 * rise, -0.5 * rise + f.around(0.0, 0.08) * X
    bottom = _sole(f, ground - 0.8, heel - 1.0)
    front, ankle = f.around(2.2, 1.0), ground - heel - f.around(8.5, 0.8)
    toe, vamp = ground - f.around(4.2, 0.5), ground - f.around(6.5, 0.5) - 0.15 * heel
    positions = (-14.5, -12.5, -7.5, front - 1.0, 10.0)
    top = spline(X, positions, (ground - 1.5, toe, vamp, ankle, -16.0))
    levels = (-0.5 * rise, ankle, ground)
    left = spline(Y, levels, (front + f.around(0.2, 0.9), front, front - 6.0))
    right = spline(Y, levels, (f.around(12.8, 0.6), f.around(12.3, 0.5), 13.6))
    shaft = np.maximum(span(X, left, right, 1), collar - Y)
    foot = np.maximum(span(Y, top, bottom, 2), np.maximum(X - right, ankle - Y))
    image = coverage(np.minimum(foot, np.maximum(shaft, Y - bottom))) * cloth
    tread = np.maximum(span(Y, bottom - f.between(0.0, 1.4), bottom + 0.8, 2), np.abs(X) - 13.6)
    tread = coverage(np.minimum(tread, _heel(f, ground, heel)))
    image = blend(image, tread, np.clip(f.between(0.2, 1.0) + 0.04 * noise, 0.0, 1.0))
    return _boot_trim(f, image, front, ankle, collar)


def _boot_trim(f, image, front, ankle, collar):
    """What may darken a boot: an elastic side, laces, a strap, a cuff."""
    elastic = coverage(box(X, Y, f.around(7.5, 0.7), ankle - 2.0, f.between(0.8, 2.2), 4.5))
    laces = coverage(np.abs(X - front - 1.0 - 0.2 * Y) - 1.3) * coverage(Y - ankle - 2.0)
    laces = laces * (0.5 + 0.5 * np.sin(2.0 * Y + X))
    strap = coverage(np.abs(Y - ankle - f.around(0.0, 1.0) - f.around(0.0, 0.2) * X) - 0.4)
    cuff = coverage(Y - collar - f.between(0.8, 2.0))
    for mask, probability in ((elastic, 0.25), (laces, 0.35), (strap, 0.4), (cuff, 0.4)):
        image = image * (1.0 - f.sometimes(probability) * f.between(0.05, 0.65) * mask)
    return image


def _sandal(f, noise):
    cloth = _cloth(f, noise, prints=0.2, drape=0.12)
    height = np.clip(f.between(-9.0, 13.0), 0.3, 13.0)
    ground = f.around(5.0, 0.8) + 0.6 * height
    bottom = _sole(f, ground, height)
    under = bottom + f.sometimes(0.25) * (ground - bottom)  # a wedge, where there is one
    seat = bottom - f.between(0.8, 3.0)
    sole = np.maximum(span(Y, seat, under, 2), np.abs(X) - 13.6)
    speckle = f.between(0.25, 1.0) + 0.15 * f.between(0.0, 1.0) * noise
    image = coverage(sole) * np.clip(speckle, 0.0, 1.0)
    image = np.maximum(image, coverage(_heel(f, ground, height)) * cloth)

    width = f.between(0.4, 1.5)
    ankle = ground - height - f.between(5.5, 9.5)
    lift = Y - seat
    above = coverage(lift)
    toes = ellipse(X, lift, f.around(-7.5, 1.0), 0.0, f.between(2.0, 4.0), f.between(2.0, 4.5))
    instep = ellipse(X, lift, f.around(-2.0, 1.5), 0.0, f.between(2.5, 4.5), f.between(3.0, 6.0))
    ring = ellipse(X, Y, f.around(8.0, 0.7), ankle, f.between(3.0, 4.5), f.between(0.5, 1.8))
    back = slab(X, Y, 11.8, ground - height, f.around(11.5, 0.5), ankle, 0.9 * width, 0.6 * width)
    start, end = (f.around(-5.5, 1.5), ground - 2.5), (f.around(5.0, 1.0), ankle + 0.5)
    thong = slab(X, Y, *start, *end, width, width)
    slide, tied = f.sometimes(0.75), f.sometimes(0.7)
    for distance, strength in (
        (np.abs(toes), slide * above),
        (np.abs(instep), f.sometimes(0.6) * above),
        (np.abs(ring), tied),
        (back, tied),
        (thong, np.maximum(f.sometimes(0.35), 1.0 - slide)),  # something must hold the foot
    ):
        strap = np.clip(cloth * f.around(1.0, 0.15), 0.0, 1.0)
        image = blend(image, strength * coverage(distance - width), strap)
    return image


def _bag(f, noise):
    cloth = _cloth(f, noise, stripes=0.05, prints=0.1, dark=0.3, drape=0.04)
    half, rise = f.around(12.6, 0.9), f.between(12.0, 24.0)
    loop = np.minimum(f.sometimes(0.6) * f.between(2.0, 13.0), 27.5 - rise)  # the handle's height
    bottom = 0.5 * (rise + loop)
    top = bottom - rise
    tucks = f.between(0.5, 4.0), f.between(0.0, 1.5), f.between(0.0, 1.5), f.between(0.3, 2.5)
    levels = (top, top + 4.0, bottom - 3.0, bottom)
    edge = spline(Y, levels, [half - tuck for tuck in tucks])
    body = np.maximum(span(np.abs(X), -edge, edge, 1), np.maximum(top - Y, Y - bottom))
    size = f.between(3.0, 7.5), np.maximum(loop, 0.3)
    handle = np.abs(ellipse(X, Y, f.around(0.0, 0.5), top + 0.5, *size)) - f.between(0.4, 1.1)
    handle = np.clip(loop, 0.0, 1.0) * coverage(handle) * coverage(Y - top)
    strap = np.abs(ellipse(X, Y, 0.0, f.around(0.0, 2.0), 13.3, f.between(6.0, 12.0))) - 0.6
    strap = f.sometimes(0.25) * coverage(strap)
    image = np.maximum(handle * f.between(0.4, 1.0), strap * f.between(0.3, 0.9))
    image = blend(image, coverage(body), cloth)
    return _bag_trim(f, image, cloth, body, top, rise)


def _bag_trim(f, image, cloth, body, top, rise):
    """A flap with its clasp, a stitched rim and a pocket."""
    flap = top + rise * f.between(0.15, 0.65) - f.around(0.0, 0.01) * np.square(X)
    fold = f.sometimes(0.5) * coverage(body) * coverage(Y - flap)
    image = blend(image, fold, np.clip(cloth * f.around(1.0, 0.12), 0.0, 1.0))
    image = image * (1.0 - f.between(0.0, 0.6) * coverage(np.abs(Y - flap) - 0.3))
    clasp = coverage(box(X, Y, f.around(0.0, 0.5), flap, f.between(0.5, 1.5), f.between(0.5, 1.5)))
    image = blend(image, f.sometimes(0.5) * clasp, f.between(0.0, 1.0))
    rim = coverage(np.abs(body + 1.2) - 0.4) * f.between(-0.1, 0.4)
    pocket = box(X, Y, f.around(0.0, 1.0), top + 0.65 * rise, f.between(3.0, 8.0), 0.2 * rise)
    pocket = f.sometimes(0.3) * f.between(0.1, 0.5) * coverage(np.abs(pocket) - 0.2)
    return image * (1.0 - rim) * (1.0 - pocket)


PAINTERS = (
    _t_shirt, _trouser, _pullover, _dress, _coat, _sandal, _shirt, _sneaker, _bag, _ankle_boot,
)  # fmt: skip
