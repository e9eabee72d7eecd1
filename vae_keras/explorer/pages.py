"""What there is to explore: planes of codes, and directions that have a name."""

import numpy as np

from vae_keras.checks import check_codes
from vae_keras.evaluation import HOLE
from vae_keras.explorer import checks
from vae_keras.explorer.export import export_decoder, text_of
from vae_keras.explorer.page import Page
from vae_keras.palette import COLORS

MOST_CODES = 2_000  # dots of a map: each is decoded in the browser, to find the holes


def plane(models, codes, labels, class_names, what="image"):
    """Makes a page of maps of two-dimensional codes: it draws what lies where the pointer is.

    As the pointer, a finger or the arrow keys move, each decoder draws what
    lies there, and the page says the class of the nearest codes, the density of
    the prior, and whether it is a hole: farther than 0.05 per pixel, as the
    root of the mean square, from all that the decoder draws for the codes. Of
    more than 2,000 codes the first are shown.

    Args:
        models: Dict, name to `VAE` or `Autoencoder` with codes of two numbers.
        codes: Dict, the same names to arrays `(n, 2)`.
        labels: Integer array `(n,)`, the class of each code.
        class_names: Sequence of strings.
        what: String, what an image shows, in the singular: "garment".

    Returns:
        A `Page`.

    Raises:
        ValueError: if codes and labels do not fit the models, or a decoder has
            a layer that the explorer does not know.

    Example:

    >>> page = explorer.plane({"VAE": vae}, {"VAE": vae.encode(x)}, y, class_names)
    >>> page.save("explorer.html")
    """
    checks.check_plane(codes, labels, class_names, models)
    panels = [
        {
            "name": name,
            "model": export_decoder(model),
            "labels": np.asarray(labels)[:MOST_CODES].tolist(),
            **_placed(check_codes(codes[name], f"codes[{name!r}]", (2,))),
        }
        for name, model in models.items()
    ]
    data = {"kind": "plane", "panels": panels, "classNames": list(class_names)}
    data |= {"colors": COLORS, "hole": HOLE, "what": what}
    return Page(data, "Latent spaces", height=900)


def _placed(codes):
    low, high = codes.min(axis=0), codes.max(axis=0)
    margin = 0.05 * (high - low) + 1e-3
    limits = {"low": (low - margin).tolist(), "high": (high + margin).tolist()}
    return {"codes": text_of(codes[:MOST_CODES], "float32"), "limits": limits}


def attributes(vae, codes, vectors, names, measured=None, samples=None, what="image"):
    """Makes a page of a decoded image with a slider for each direction that has a name.

    No photograph is embedded: the decoder draws from codes.

    Args:
        vae: `VAE` or `Autoencoder`.
        codes: Array `(n, *code_shape)`, of images to begin with.
        vectors: Array `(num_directions, *code_shape)`, what a slider at 1 adds
            to the code: attribute vectors, or principal directions; 20 at most.
        names: Sequence of `num_directions` strings.
        measured: Dict, optional: name to a pair of shares, how often a judge
            has seen the attribute at 1, and how many other verdicts changed.
        samples: Dict, optional: name of a distribution to an array of codes
            that were drawn from it, such as `{"flow": flow.sample(200)}`. Draws from N(0, I)
            are offered without.
        what: String, what an image shows, in the singular: "face".

    Returns:
        A `Page`.

    Raises:
        ValueError: if codes, vectors and names do not fit each other and the
            model, or its decoder has a layer that the explorer does not know.

    Example:

    >>> page = explorer.attributes(vae, vae.encode(x), vectors[:3], names[:3])
    >>> page.save("explorer.html")
    """
    model = export_decoder(vae)
    shape = model["codeShape"]
    vectors = checks.check_directions(vectors, names, shape)
    drawn = {
        name: text_of(check_codes(some, f"samples[{name!r}]", shape), "float32")
        for name, some in (samples or {}).items()
    }
    data = {
        "kind": "attributes",
        "name": "model",
        "model": model,
        "codes": text_of(check_codes(codes, "codes", shape)[:MOST_CODES], "float32"),
        "vectors": text_of(vectors, "float32"),
        "names": list(names),
        "measured": {name: list(map(float, pair)) for name, pair in (measured or {}).items()},
        "samples": drawn,
        "what": what,
    }
    return Page(data, "Attributes", height=700)
