"""What the explorer can be asked to show."""

import numpy as np

from vae_keras.checks import check_codes

MOST = 20  # directions: as many sliders as one can look through


def check_plane(codes, labels, class_names, models):
    """Raises `ValueError` unless codes and labels fit models whose codes are two numbers."""
    if not models:
        raise ValueError("Argument `models` must hold a model, by its name. Received: an empty one")
    if codes.keys() != models.keys():
        raise ValueError(
            "Argument `codes` must have the keys of `models`. "
            f"Received: {sorted(codes)} and {sorted(models)}"
        )
    for name, model in models.items():
        shape = tuple(model.decoder.inputs[0].shape[1:])
        if shape != (2,):
            raise ValueError(
                "A plane shows codes of two numbers; for others see `explorer.attributes`. "
                f"Received: {name!r} with codes of shape {shape}"
            )
        if len(codes[name]) != len(labels):
            raise ValueError(
                "Argument `labels` must hold one class for each code. "
                f"Received: {len(labels)} labels, {len(codes[name])} codes of {name!r}"
            )
    if not np.issubdtype(np.asarray(labels).dtype, np.integer) or not (
        np.min(labels) >= 0 and np.max(labels) < len(class_names)
    ):
        raise ValueError(
            f"Argument `labels` must be integers from 0 to {len(class_names) - 1}, one for each "
            f"of `class_names`. Received: {np.min(labels)} to {np.max(labels)}"
        )


def check_directions(vectors, names, code_shape):
    """Returns vectors as float32, or raises `ValueError` unless they are named directions."""
    vectors = check_codes(vectors, "vectors", code_shape)
    if len(names) != len(vectors):
        raise ValueError(
            "Argument `names` must hold one name for each vector. "
            f"Received: {len(names)} names, {len(vectors)} vectors"
        )
    if len(vectors) > MOST:
        raise ValueError(
            f"Argument `vectors` must hold at most {MOST} directions: choose those to show. "
            f"Received: {len(vectors)}"
        )
    return vectors
