"""What there is to explore: planes of codes, and directions that have a name."""

import numpy as np

from vae_keras.checks import check_codes
from vae_keras.explorer import checks
from vae_keras.explorer.export import export_decoder, text_of
from vae_keras.explorer.page import Page
from vae_keras.models import VAE
from vae_keras.palette import COLORS

MOST_CODES = 2_000  # dots of a map: each is decoded in the browser, to find the holes
# Of the picture's own root mean square, its difference to the nearest: where a look at a hundred
# pictures drew the line, and fewer than 1 in 100 garments are farther from all others.
HOLE = 0.2
PRIOR = 2.448  # the radius of the circle that holds 95 % of the draws from N(0, I)


def plane(models, codes, labels, class_names, what="image"):
    """Makes a page of maps of two-dimensional codes: it draws what lies where the pointer is.

    Below each map stand ten draws from N(0, I), decoded, the same on each, and
    three numbers: the share of the codes within the circle of N(0, I), and of
    400 draws the share of holes and the classes that they meet. As the
    pointer, a finger or the arrow keys move, the decoder draws what lies there.

    A hole is here a code whose picture differs from all that the decoder draws
    for `codes` by more than a fifth: the root mean square of the difference
    over the pixels, as a share of the picture's own. `evaluation.hole_fraction`
    takes the difference itself, by which a dim smear is near to a dim garment
    and no hole. Of more than 2,000 codes the first are shown.

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
            "variational": isinstance(model, VAE),
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
    """The codes that are shown, and a square around all codes and the circle of the prior."""
    low = np.minimum(codes.min(axis=0), -PRIOR)
    high = np.maximum(codes.max(axis=0), PRIOR)
    middle, reach = (low + high) / 2, 0.53 * (high - low).max()
    limits = {"low": (middle - reach).tolist(), "high": (middle + reach).tolist()}
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
