"""True edits: the face that an attribute's change should give, and nothing else changed."""

import numpy as np

from vae_keras.datasets.synthetic.face_factors import ATTRIBUTE_NAMES, attributes

# Attribute -> (factor, its value where absent, where present), in the middle of the ranges that
# `sample_factors` draws from.
_FACTORS = {
    "Bangs": ("bangs", 0.07, 0.87),
    "Black_Hair": ("hair_lightness", 0.45, 0.06),
    "Blond_Hair": ("hair_lightness", 0.45, 0.89),
    "Bushy_Eyebrows": ("brow_thickness", 0.25, 0.87),
    "Eyeglasses": ("eyeglasses", 0.0, 0.92),
    "Heavy_Makeup": ("makeup", 0.07, 0.85),
    "Male": ("masculinity", 0.12, 0.87),
    "Mouth_Slightly_Open": ("mouth_open", 0.05, 0.7),
    "Smiling": ("smile", -0.08, 0.75),
    "Wearing_Hat": ("hat", 0.0, 0.97),
    "Wearing_Lipstick": ("lipstick", 0.06, 0.87),
    "Young": ("age", 0.85, 0.17),
}
EDITABLE_NAMES = tuple(_FACTORS)


def edit(factors, name, present=True):
    """Gives every face an attribute, or takes it away, and leaves all else as it is.

    Args:
        factors: A dict from factor name to array `(n,)`, as `sample_factors` returns it.
        name: String, one of `EDITABLE_NAMES`: the attributes that one factor decides.
        present: Boolean, whether the faces are to have it.

    Returns:
        A new dict. Faces that have the attribute already (or lack it, where `present` is false)
        keep their factors. Where another factor overrules this one, as grey hair does blond, a
        face still lacks the attribute: ask `attributes`.

    Raises:
        ValueError: If no single factor decides the attribute.
    """
    if name not in _FACTORS:
        raise ValueError(
            f"Argument `name` must be one of {EDITABLE_NAMES}. Received: name={name!r}"
        )
    has = attributes(factors)[:, ATTRIBUTE_NAMES.index(name)]
    factor, absent, there = _FACTORS[name]
    value = there if present else absent
    return {**factors, factor: np.where(has == present, factors[factor], np.float32(value))}
