"""The decoder in the page draws what Keras draws, and what will not do is told."""

import json
import re
import shutil
import subprocess
from importlib import resources

import keras
import numpy as np
import pytest
from keras import layers

from vae_keras import VAE, Autoencoder, explore, explorer, likelihoods, networks
from vae_keras.explorer.export import export_decoder

pytestmark = pytest.mark.any_backend
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="runs the page's script")
SCRIPT = resources.files("vae_keras.explorer").joinpath("explorer.js").read_text(encoding="utf-8")


def in_javascript(model, codes, tmp_path):
    """What the page's script decodes, an array like the codes' images."""
    (tmp_path / "explorer.mjs").write_text(SCRIPT, encoding="utf-8")
    model = export_decoder(model)
    given = {"model": model, "codes": codes.reshape(len(codes), -1).tolist()}
    (tmp_path / "given.json").write_text(json.dumps(given))
    (tmp_path / "run.mjs").write_text(
        'import fs from "fs"; import { Decoder } from "./explorer.mjs";'
        'const { model, codes } = JSON.parse(fs.readFileSync("given.json"));'
        "const decoder = new Decoder(model);"
        'const file = fs.openSync("drawn", "w");'
        "for (const code of codes) fs.writeSync(file, decoder.decode(code));"
    )
    command = [shutil.which("node"), "run.mjs"]
    subprocess.run(command, cwd=tmp_path, check=True)
    return np.fromfile(tmp_path / "drawn", "<f4").reshape(len(codes), *model["shape"])


def randomized(model):
    """Gives a model large weights, so that a layer that is left out is seen."""
    rng = np.random.default_rng(0)
    for variable in model.decoder.weights:
        fan = max(1, np.prod(variable.shape[:-1]))
        variable.assign(rng.normal(0.0, 1.5 / np.sqrt(fan), variable.shape))
    return model


def sequential_decoder():
    return keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(2 * 3 * 4, activation="elu"),
            layers.ReLU(),
            layers.Dropout(0.5),
            layers.Reshape((2, 3, 4)),
            layers.Conv2DTranspose(5, 3, strides=2, padding="same", activation="leaky_relu"),
            layers.Conv2DTranspose(4, (4, 2), strides=(2, 1), padding="same", activation="tanh"),
            layers.Conv2DTranspose(3, 2, strides=1, padding="valid", use_bias=False),
            layers.Conv2D(4, (2, 3), strides=(1, 2), padding="valid", activation="softplus"),
            layers.Conv2D(1, 4, strides=2, padding="same"),
        ]
    )


def branched_decoder():
    z = keras.Input((3,))
    one = layers.Reshape((2, 2, 2))(layers.Dense(8, activation="silu")(z))
    other = layers.Permute((2, 1, 3))(layers.Reshape((2, 2, 3))(layers.Dense(12)(z)))
    both = layers.Concatenate()([one, other])
    return keras.Model(z, layers.Activation("sigmoid")(layers.Conv2D(3, 1)(both)))


def nested_decoder():
    code = keras.Input((16,))
    inner = networks.convolutional_map((8, 8, 3), channels=4, filters=(8,))[1]
    return keras.Model(code, inner(layers.Reshape((2, 2, 4))(code)))


def encoder_for(decoder):
    image = keras.Input(decoder.outputs[0].shape[1:])
    return keras.Model(image, layers.Dense(decoder.inputs[0].shape[-1])(layers.Flatten()(image)))


def map_as_list():
    """The faces' networks of notebook 07: a code that is a map, laid out as a list."""
    encoder, decoder = networks.convolutional_map((64, 64, 3), channels=4)
    row = keras.Input((256,))
    encoder = keras.Model(encoder.input, [layers.Flatten()(part) for part in encoder.output])
    return VAE(encoder, keras.Model(row, decoder(layers.Reshape((8, 8, 4))(row))), "gaussian")


def linear_autoencoder():
    """That of notebook 02."""
    encoder = keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(2)])
    decoder = [keras.Input((2,)), layers.Dense(784), layers.Reshape((28, 28, 1))]
    return Autoencoder(encoder, keras.Sequential(decoder), likelihoods.Gaussian(1.0))


# Of the chapter: the garments' in 02 to 04 and 09, in 02, 05 and 06, in 08, the faces' in 07, those
# of its laboratory, and the ones of the benchmark.
CHAPTER = {
    "garments": lambda: VAE(*networks.dense(latent_dim=2)),
    "garments, autoencoder": lambda: Autoencoder(*networks.dense(variational=False)),
    "garments, autoencoder of 20": lambda: Autoencoder(*networks.dense((28, 28, 1), 20, False)),
    "garments, linear": linear_autoencoder,
    "garments, two layers": lambda: VAE(*networks.dense(latent_dim=10, units=(256, 128))),
    "garments, one layer": lambda: VAE(
        *networks.dense(latent_dim=10, units=(256,)), "continuous_bernoulli"
    ),
    "garments, map": lambda: VAE(*networks.convolutional_map((28, 28, 1), 2, filters=(32,))),
    "faces": map_as_list,
    "faces, laboratory": lambda: VAE(*networks.convolutional((32, 32, 3), 64), "gaussian"),
    "faces, 64 numbers": lambda: VAE(*networks.convolutional(), likelihood="gaussian"),
}
DECODERS = {
    "dense, continuous Bernoulli": lambda: VAE(
        *networks.dense((4, 5, 1)), likelihood="continuous_bernoulli"
    ),
    "map": lambda: VAE(*networks.convolutional_map((32, 32, 3)), likelihood="gaussian"),
    "sequential": lambda: Autoencoder(encoder_for(sequential_decoder()), sequential_decoder()),
    "branched": lambda: Autoencoder(
        encoder_for(branched_decoder()), branched_decoder(), likelihood="gaussian"
    ),
    "nested": lambda: Autoencoder(encoder_for(nested_decoder()), nested_decoder()),
}


@needs_node
@pytest.mark.parametrize("name", [*CHAPTER, *DECODERS])
def test_the_page_draws_what_keras_draws(name, tmp_path):
    model = randomized((CHAPTER | DECODERS)[name]())
    codes = np.random.default_rng(1).normal(size=(256, *model.decoder.inputs[0].shape[1:]))
    drawn = in_javascript(model, codes, tmp_path)
    expected = model.decode(codes.astype("float32"))
    assert expected.std() > 0.05
    np.testing.assert_allclose(drawn, expected, atol=1e-3)
    assert np.sqrt(np.mean((drawn - expected) ** 2)) < 1e-4


def small(likelihood="bernoulli"):
    return VAE(*networks.dense((4, 5, 1), units=(8,)), likelihood)


def data_of(page):
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page.html())
    return json.loads(text)


def test_a_page_is_one_file_that_asks_for_nothing(tmp_path):
    vae, codes = small(), np.random.default_rng(0).normal(size=(5, 2))
    page = explorer.plane({"a <b>": vae}, {"a <b>": codes}, np.arange(5), list("abcde"))
    path = tmp_path / "new" / "explorer.html"
    page.save(path)
    text = path.read_text(encoding="utf-8")
    assert text == page.html()
    assert not re.search(r"https?://|src=|href=|import\(|fetch\(", text)
    (panel,) = data_of(page)["panels"]
    assert panel["name"] == "a <b>"
    assert panel["labels"] == [0, 1, 2, 3, 4]
    assert page._repr_html_().startswith('<iframe title="Latent spaces" srcdoc="&lt;!DOCTYPE')
    assert repr(page) == "<Page 'Latent spaces': save() writes it>"


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path):
    page = explorer.plane({"a": small()}, {"a": np.zeros((1, 2))}, [0], ["x"])
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        page.save(tmp_path / "file" / "explorer.html")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_sliders_know_what_was_measured():
    vae, codes = small("gaussian"), np.random.default_rng(0).normal(size=(5, 2))
    page = explorer.attributes(
        vae, codes, np.eye(2), ["Smiling", "Male"], {"Smiling": (0.9, 0.05)}, {"flow": codes}
    )
    data = data_of(page)
    assert data["names"] == ["Smiling", "Male"]
    assert data["measured"] == {"Smiling": [0.9, 0.05]}
    assert data["model"]["mean"] == "clip"
    assert list(data["samples"]) == ["flow"]


@pytest.mark.parametrize("codes", [[[0.1, 0.2], [0.3, -0.1]], [[-33.0, 1.0], [7.0, 12.0]]])
def test_a_map_is_square_and_holds_all_codes_and_the_circle_of_the_prior(codes):
    page = explorer.plane({"a": small()}, {"a": np.array(codes)}, [0, 0], ["x"])
    (panel,) = page.data["panels"]
    low, high = (np.array(panel["limits"][name]) for name in ("low", "high"))
    radius = np.sqrt(-2 * np.log(0.05))
    assert np.all(low < np.minimum(np.min(codes, axis=0), -radius))
    assert np.all(high > np.maximum(np.max(codes, axis=0), radius))
    assert np.ptp(high - low) < 1e-5


@pytest.mark.parametrize(
    ("make", "variational"),
    [
        (small, True),
        (lambda: Autoencoder(*networks.dense((4, 5, 1), units=(8,), variational=False)), False),
    ],
)
def test_a_page_knows_which_of_its_models_is_a_vae(make, variational):
    page = explorer.plane({"a": make()}, {"a": CODES}, [0] * 3, ["x"])
    assert page.data["panels"][0]["variational"] is variational


def with_layer(layer):
    z = keras.Input((2,))
    decoder = keras.Model(z, layers.Reshape((4, 5, 1))(layer(layers.Dense(20)(z))))
    return Autoencoder(encoder_for(decoder), decoder)


def conditional():
    z, label = keras.Input((2,)), keras.Input((3,))
    image = layers.Reshape((4, 5, 1))(layers.Dense(20)(layers.Concatenate()([z, label])))
    x, y = keras.Input((4, 5, 1)), keras.Input((3,))
    flat = layers.Concatenate()([layers.Flatten()(x), y])
    encoder = keras.Model([x, y], [layers.Dense(2)(flat), layers.Dense(2)(flat)])
    return VAE(encoder, keras.Model([z, label], image))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: with_layer(layers.LayerNormalization(name="norm")),
         r"does not know the layer LayerNormalization \(named 'norm'\)"),
        (lambda: with_layer(layers.Activation("softsign", name="soft")),
         "layer 'soft' with activation='softsign'"),
        (lambda: small(likelihoods.Gaussian(bounds=None)), "Received: likelihood=Gaussian"),
        (conditional, "a decoder of 2 inputs"),
    ],
)  # fmt: skip
def test_a_model_that_the_page_does_not_know_is_told(make, message):
    with pytest.raises(ValueError, match=message):
        export_decoder(make())


CODES = np.zeros((3, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({}, {}, [], []), "must hold a model"),
        (({"a": small}, {"b": CODES}, [0] * 3, ["x"]), "must have the keys of `models`"),
        (({"a": small}, {"a": CODES}, [0] * 2, ["x"]), "2 labels, 3 codes of 'a'"),
        (({"a": small}, {"a": CODES}, [0, 0, 1], ["x"]), "integers from 0 to 0"),
        (({"a": small}, {"a": CODES}, [0.5] * 3, ["x"]), "must be integers"),
        (({"a": small}, {"a": CODES + np.nan}, [0] * 3, ["x"]), "NaN or infinity"),
        (({"a": small}, {"a": np.zeros((3, 4))}, [0] * 3, ["x"]), r"shape \(n, 2\)"),
        (
            ({"a": lambda: VAE(*networks.dense((4, 5, 1), 3))}, {"a": CODES}, [0] * 3, ["x"]),
            r"codes of shape \(3,\)",
        ),
    ],
)
def test_a_plane_that_does_not_fit_is_told(arguments, message):
    models, *rest = arguments
    with pytest.raises(ValueError, match=message):
        explorer.plane({name: make() for name, make in models.items()}, *rest)


@pytest.mark.parametrize(
    ("codes", "vectors", "names", "message"),
    [
        (
            CODES,
            np.zeros((1, 3)),
            ["a"],
            r"`vectors` must hold .* of shape \(n, 2\)",
        ),
        (CODES, np.zeros((2, 2)), ["a"], "1 names, 2 vectors"),
        (CODES, np.zeros((21, 2)), ["a"] * 21, "at most 20 directions"),
        (CODES * np.nan, np.zeros((1, 2)), ["a"], "`codes` must not hold NaN"),
        (np.zeros((0, 2)), np.zeros((1, 2)), ["a"], r"Received: codes of shape \(0, 2\)"),
    ],
)
def test_directions_that_do_not_fit_are_told(codes, vectors, names, message):
    with pytest.raises(ValueError, match=message):
        explorer.attributes(small("gaussian"), codes, vectors, names)


def test_a_folder_without_a_model_is_told(tmp_path, capsys):
    assert explore.main([str(tmp_path)]) == 1
    assert f"There is no best.keras in {tmp_path}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_page_of_a_run_that_cannot_be_written_is_told(tmp_path, capsys, monkeypatch):
    page = explorer.plane({"a": small()}, {"a": CODES}, [0] * 3, ["x"])
    monkeypatch.setattr("vae_keras.explorer.runs.page_of", lambda run: page)
    (tmp_path / "file").write_text("")
    output = tmp_path / "file" / "explorer.html"
    assert explore.main([str(tmp_path), "--output", str(output)]) == 1
    error = capsys.readouterr().err
    assert str(tmp_path / "file") in error
    assert "choose another place" in error
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
