"""The true factors of drawn faces, how often they occur, and the CelebA attributes they imply."""

import numpy as np

from vae_keras.datasets.synthetic.chances import NUM_CHANCES, Chances

ATTRIBUTE_NAMES = (
    "Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Bushy_Eyebrows", "Eyeglasses",
    "Gray_Hair", "Heavy_Makeup", "Male", "Mouth_Slightly_Open", "Mustache", "No_Beard",
    "Pale_Skin", "Receding_Hairline", "Smiling", "Wavy_Hair", "Wearing_Hat", "Wearing_Lipstick",
    "Young",
)  # fmt: skip

# Drawn alike for everybody: name -> (mean, standard deviation) of a clipped normal.
_NORMAL_FACTORS = {
    "yaw": (0.0, 0.20), "pitch": (0.0, 0.07), "roll": (0.0, 0.06), "scale": (0.93, 0.025),
    "shift_x": (0.0, 0.02), "shift_y": (0.03, 0.02), "light_x": (0.0, 0.5),
    "brightness": (1.0, 0.07), "skin_warmth": (0.0, 0.5), "face_width": (0.0, 0.45),
    "eye_size": (0.0, 0.45), "gaze": (0.0, 0.45), "brow_raise": (0.0, 0.45),
    "nose_width": (0.0, 0.45), "hair_part": (0.0, 0.5), "background_tilt": (0.0, 0.5),
}  # fmt: skip

_UNIFORM_FACTORS = (
    "eye_colour", "lip_hue", "hair_volume", "glasses_lightness",
    "glasses_roundness", "hat_hue", "hat_lightness", "clothes_hue",
    "clothes_lightness", "neckline", "background_hue", "background_lightness", "background_glow",
)  # fmt: skip


def sample_factors(n, seed=0):
    """Draws the factors of `n` faces, correlated through sex and age as CelebA's are.

    Args:
        n: Number of faces. Face `i` is the same for every `n` beyond it.
        seed: Integer, seed of the draw.

    Returns:
        A dict from factor name to float32 array `(n,)`.
    """
    if n < 1:
        raise ValueError(f"Argument `n` must be at least 1. Received: n={n}")
    uniforms = np.random.default_rng(seed).random((n, NUM_CHANCES), dtype="float32")
    chances = Chances(np.clip(uniforms, 1e-6, 1.0 - 1e-6))
    factors = {name: chances.normal(*spread) for name, spread in _NORMAL_FACTORS.items()}
    factors |= {name: chances.between(0.0, 1.0) for name in _UNIFORM_FACTORS}
    male = chances.event(0.42)
    young = chances.event(np.where(male, 0.64, 0.88))
    factors["masculinity"] = chances.either(male, (0.75, 1.0), (0.0, 0.25))
    factors["age"] = chances.either(young, (0.0, 0.35), (0.7, 1.0))
    _sample_expression(factors, chances, male, young)
    _sample_hair(factors, chances, male, young)
    _sample_facial_hair(factors, chances, male, young)
    _sample_accessories(factors, chances, male, young)
    return {name: values.astype("float32") for name, values in factors.items()}


def _by_group(male, young, young_woman, old_woman, young_man, old_man):
    """The probability of each face's group, from CelebA's rates by sex and age."""
    return np.where(
        male, np.where(young, young_man, old_man), np.where(young, young_woman, old_woman)
    )


def _sample_expression(factors, chances, male, young):
    smiling = chances.event(_by_group(male, young, 0.52, 0.69, 0.38, 0.43))
    mouth_open = chances.event(np.where(smiling, 0.75, 0.22))
    factors["smile"] = chances.either(smiling, (0.5, 1.0), (-0.25, 0.08))
    factors["mouth_open"] = chances.either(mouth_open, (0.4, 1.0), (0.0, 0.1))


def _sample_hair(factors, chances, male, young):
    pale = chances.event(_by_group(male, young, 0.08, 0.06, 0.04, 0.035))
    # Cubed, because most faces of CelebA are light.
    lightest, others = chances.between(0.0, 0.05), 0.2 + 0.8 * chances.between(0.0, 1.0) ** 3
    factors["skin_tone"] = np.where(pale, lightest, others)
    dark_skin = factors["skin_tone"] > 0.5
    blond = chances.event(_by_group(male, young, 0.32, 0.45, 0.04, 0.04)) & ~dark_skin
    black = chances.event(np.where(dark_skin, 0.75, np.where(male, 0.30, 0.17)))
    lightness = chances.either(black, (0.0, 0.12), (0.27, 0.62))
    factors["hair_lightness"] = np.where(blond, chances.between(0.78, 1.0), lightness)
    red = chances.event(0.18) & ~blond & ~black
    factors["hair_redness"] = chances.either(red, (0.8, 1.0), (0.0, 0.35))
    gray = chances.event(_by_group(male, young, 0.003, 0.2, 0.01, 0.42))
    factors["hair_gray"] = chances.either(gray, (0.75, 1.0), (0.0, 0.15))
    bald = chances.event(_by_group(male, young, 0.0, 0.0, 0.08, 0.30))
    receding = chances.event(_by_group(male, young, 0.03, 0.05, 0.06, 0.25)) & ~bald
    baldness = chances.either(receding, (0.4, 0.55), (0.0, 0.12))
    factors["baldness"] = np.where(bald, chances.between(0.88, 1.0), baldness)
    long = chances.event(np.where(male, 0.06, 0.82)) & ~bald
    factors["hair_length"] = chances.either(long, (0.55, 1.0), (0.05, 0.3))
    wavy = chances.event(0.6) & long  # short hair has no room for waves that one could see
    factors["hair_wave"] = chances.either(wavy, (0.6, 1.0), (0.0, 0.15))
    bangs = chances.event(_by_group(male, young, 0.20, 0.30, 0.11, 0.04)) & ~bald & ~receding
    factors["bangs"] = chances.either(bangs, (0.75, 1.0), (0.0, 0.15))
    bushy_rate = _by_group(male, young, 0.08, 0.03, 0.33, 0.15)
    bushy = chances.event(bushy_rate * np.where(black, 1.4, 0.9))
    factors["brow_thickness"] = chances.either(bushy, (0.75, 1.0), (0.1, 0.4))


def _sample_facial_hair(factors, chances, male, young):
    beard = chances.event(np.where(male, 0.32, 0.0))
    mustache = chances.event(np.where(male, np.where(beard, 0.5, 0.06), 0.0))
    factors["beard"] = chances.either(beard, (0.5, 1.0), (0.0, 0.0))
    factors["mustache"] = chances.either(mustache, (0.75, 1.0), (0.0, 0.0))
    lipstick = chances.event(_by_group(male, young, 0.80, 0.74, 0.0, 0.0))
    makeup = chances.event(np.where(lipstick, np.where(young, 0.82, 0.66), 0.02 * ~male))
    factors["lipstick"] = chances.either(lipstick, (0.75, 1.0), (0.0, 0.12))
    factors["makeup"] = chances.either(makeup, (0.7, 1.0), (0.0, 0.15))


def _sample_accessories(factors, chances, male, young):
    glasses = chances.event(_by_group(male, young, 0.03, 0.09, 0.09, 0.25))
    factors["eyeglasses"] = chances.either(glasses, (0.85, 1.0), (0.0, 0.0))
    dark_lenses = chances.event(0.15)
    factors["glasses_tint"] = chances.either(dark_lenses, (0.7, 0.95), (0.05, 0.2))
    hat = chances.event(_by_group(male, young, 0.045, 0.04, 0.09, 0.12))
    hat &= factors["baldness"] < 0.7
    factors["hat"] = chances.either(hat, (0.95, 1.0), (0.0, 0.0))
    brimmed = chances.event(0.5)
    factors["hat_brim"] = chances.either(brimmed, (0.5, 1.0), (0.0, 0.15))
    factors["bangs"] = np.where(hat, 0.0, factors["bangs"])


def attributes(factors):
    """CelebA's attributes as thresholds on the factors.

    Args:
        factors: A dict as `sample_factors` returns it.

    Returns:
        A bool array `(n, len(ATTRIBUTE_NAMES))`, columns in the order of `ATTRIBUTE_NAMES`.
    """
    f = factors
    bare_head = f["hat"] < 0.5
    bald = bare_head & (f["baldness"] > 0.7)
    gray = ~bald & (f["hair_gray"] > 0.5)
    coloured = ~bald & ~gray & (f["hair_redness"] < 0.55)  # CelebA has no name for red
    mustache = f["mustache"] > 0.5
    columns = {
        "Bald": bald,
        "Bangs": bare_head & (f["baldness"] < 0.7) & (f["bangs"] > 0.5),
        "Black_Hair": coloured & (f["hair_lightness"] < 0.2),
        "Blond_Hair": coloured & (f["hair_lightness"] > 0.7),
        "Brown_Hair": coloured & (abs(f["hair_lightness"] - 0.45) <= 0.25),
        "Bushy_Eyebrows": f["brow_thickness"] > 0.6,
        "Eyeglasses": f["eyeglasses"] > 0.5,
        "Gray_Hair": gray,
        "Heavy_Makeup": f["makeup"] > 0.5,
        "Male": f["masculinity"] > 0.5,
        "Mouth_Slightly_Open": f["mouth_open"] > 0.25,
        "Mustache": mustache,
        "No_Beard": ~mustache & (f["beard"] < 0.25),
        "Pale_Skin": f["skin_tone"] < 0.12,
        "Receding_Hairline": bare_head & (abs(f["baldness"] - 0.5) <= 0.2),
        "Smiling": f["smile"] > 0.3,
        "Wavy_Hair": ~bald & (f["hair_wave"] > 0.4) & (f["hair_length"] > 0.42),
        "Wearing_Hat": ~bare_head,
        "Wearing_Lipstick": f["lipstick"] > 0.5,
        "Young": f["age"] < 0.5,
    }
    return np.stack([columns[name] for name in ATTRIBUTE_NAMES], axis=1)
