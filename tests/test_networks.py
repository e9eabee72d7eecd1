"""What the networks compute, written out in NumPy: which pixel goes where, and comes from where."""

import keras
import numpy as np
import pytest

from vae_keras import networks

pytestmark = pytest.mark.any_backend


def run(model, x):
    """What a model returns, as arrays; it runs eagerly, which spares seconds of tracing."""
    return keras.tree.map_structure(keras.ops.convert_to_numpy, model(x))


def set_weights(model):
    """Gives a model weights that are all different, biases too."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0.0, 0.3, value.shape) for value in model.get_weights()])


def hidden(model):
    """The kernel and the bias of each layer but the code's, in order, in double precision."""
    layers = [layer for layer in model.layers if layer.weights and not layer.name.startswith("z_")]
    return [weights(layer) for layer in layers]


def weights(layer):
    return [value.astype("float64") for value in layer.get_weights()]


def sizes(pairs):
    """How many numbers, or channels, each layer gives."""
    return tuple(bias.size for _, bias in pairs)


def posterior(encoder, x):
    """`(z_mean, z_log_var)` from what the last hidden layer gives, by NumPy."""
    return [dense(x, *weights(encoder.get_layer(name))) for name in ("z_mean", "z_log_var")]


def dense(x, kernel, bias):
    return x @ kernel + bias


def relu(x):
    return np.maximum(x, 0.0)


def silu(x):
    return x / (1.0 + np.exp(-x))


def patches(x, kernel, bias):
    """A convolution whose windows tile the image."""
    batch, height, width, channels = x.shape
    side = len(kernel)
    x = x.reshape(batch, height // side, side, width // side, side, channels)
    return np.einsum("bhiwjc,ijcd->bhwd", x, kernel) + bias


def convolution(x, kernel, bias, stride=1):
    """A convolution of 3 by 3; with stride 2 it starts at the corner, as an even size has it."""
    before = 1 if stride == 1 else 0
    x = np.pad(x, ((0, 0), (before, 1), (before, 1), (0, 0)))
    height, width = x.shape[1] - 2, x.shape[2] - 2
    shifted = [
        x[:, i : i + height : stride, j : j + width : stride] @ kernel[i, j]
        for i in range(3)
        for j in range(3)
    ]
    return sum(shifted) + bias


def depth_to_space(x, factor):
    """Pixel (i, j) of each square is the block of channels number `i * factor + j`."""
    batch, height, width, channels = x.shape
    channels //= factor**2
    image = np.empty((batch, height * factor, width * factor, channels))
    for i in range(factor):
        for j in range(factor):
            block = (i * factor + j) * channels
            image[:, i::factor, j::factor] = x[..., block : block + channels]
    return image


def encoded(encoder, x):
    """`(z_mean, z_log_var)` of a convolutional encoder, by NumPy."""
    stem, *further = hidden(encoder)
    x = silu(patches(x, *stem))
    for layer in further:
        x = silu(convolution(x, *layer, stride=2))
    return posterior(encoder, x.reshape(len(x), -1))


def decoded(decoder, z, smallest):
    """The images of a convolutional decoder whose code map has the shape `smallest`, by NumPy."""
    first, *further, last = hidden(decoder)
    x = silu(dense(z, *first)).reshape(len(z), *smallest)
    for layer in further:
        x = depth_to_space(silu(convolution(x, *layer)), 2)
    return depth_to_space(convolution(x, *last), networks.STEM)


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


# Neither square nor the same size in two places, so that no two axes can be taken for each other.
CONVOLUTIONAL = pytest.mark.parametrize(
    ("image_shape", "filters"),
    [((8, 12, 3), (5,)), ((16, 24, 2), (3, 5)), ((16, 48, 1), (2, 3, 4))],
    ids=["one", "two", "three"],
)
DENSE = pytest.mark.parametrize("image_shape", [(2, 3, 4), (7,)], ids=["images", "table"])


class TestConvolutional:
    @CONVOLUTIONAL
    def test_encoder_cuts_patches_and_halves(self, image_shape, filters):
        encoder, _ = networks.convolutional(image_shape, latent_dim=4, filters=filters)
        set_weights(encoder)
        assert sizes(hidden(encoder)) == filters
        x = np.random.default_rng(1).random((2, *image_shape), "float32")
        for found, expected in zip(run(encoder, x), encoded(encoder, x), strict=True):
            assert_close(found, expected)

    @CONVOLUTIONAL
    def test_decoder_doubles_and_makes_patches(self, image_shape, filters):
        _, decoder = networks.convolutional(image_shape, latent_dim=4, filters=filters)
        set_weights(decoder)
        assert sizes(hidden(decoder)[1:-1]) == tuple(4 * size for size in filters[-2::-1])
        z = np.random.default_rng(1).normal(size=(2, 4)).astype("float32")
        smallest = [side // (4 * 2 ** (len(filters) - 1)) for side in image_shape[:2]]
        assert_close(run(decoder, z), decoded(decoder, z, (*smallest, filters[-1])))

    def test_a_channel_of_the_last_layer_is_one_pixel_of_every_patch(self):
        _, decoder = networks.convolutional((8, 12, 3), latent_dim=1, filters=(2,))
        *others, kernel, bias = decoder.get_weights()
        patch = np.arange(bias.size, dtype="float32")  # as a row of pixels, a row after a row
        decoder.set_weights([*others, np.zeros_like(kernel), patch])
        (image,) = run(decoder, np.ones((1, 1)))
        np.testing.assert_array_equal(image, np.tile(patch.reshape(4, 4, 3), (2, 3, 1)))

    def test_a_place_of_the_code_map_is_seen_around_its_own_place_in_the_image(self):
        _, decoder = networks.convolutional((64, 96, 1), latent_dim=1, filters=(2, 3))
        set_weights(decoder)
        kernel, bias, *others = decoder.get_weights()
        bias = bias.reshape(8, 12, 3)
        images = []
        for change in (0.0, 1.0):
            bias[3, 5] += change
            decoder.set_weights([kernel, bias.ravel(), *others])
            images.append(run(decoder, np.zeros((1, 1)))[0, ..., 0])
        rows, columns = np.nonzero(images[0] != images[1])
        # One place to each side, doubled, then one more to each side, and four pixels for each.
        assert (rows.min(), rows.max() + 1) == (4 * (2 * 2 - 1), 4 * (2 * 5 + 1))
        assert (columns.min(), columns.max() + 1) == (4 * (2 * 4 - 1), 4 * (2 * 7 + 1))

    def test_a_pixel_is_seen_by_its_own_patch_alone(self):
        encoder, _ = networks.convolutional((12, 8, 1), latent_dim=6, filters=(1,))
        # Each number of the code is one place of the map, in the order of reading.
        kernel = np.random.default_rng(0).normal(size=(4, 4, 1, 1))
        eye, zero = np.eye(6), np.zeros(6)
        encoder.set_weights([kernel, np.zeros(1), eye, zero, 0 * eye, zero])
        x = np.zeros((6, 12, 8, 1))
        for place in range(6):
            x[place, place // 2 * 4 + 3, place % 2 * 4, 0] = 1.0
        z_mean, _ = run(encoder, x)
        assert_close(z_mean, silu(kernel[3, 0, 0, 0]) * eye)

    @pytest.mark.parametrize(
        ("size", "filters", "advice"),
        [
            ((28, 28), (32, 64, 128), r"Pad the images to 32 by 32 or pass filters=\(32,\)\."),
            ((56, 40), (32, 64, 128), r"Pad the images to 64 by 48 or pass filters=\(32, 64\)\."),
            ((64, 20), [8, 16, 32], r"Pad the images to 64 by 32 or pass filters=\(8,\)\."),
            ((30, 64), (32, 64, 128), r"Pad the images to 32 by 64\."),
            ((64, 63), (32,), r"Pad the images to 64 by 64\."),
        ],
        ids=str,
    )
    def test_an_error_says_what_would_fit(self, size, filters, advice):
        shape = rf"image_shape=\({size[0]}, {size[1]}, 1\)"
        with pytest.raises(
            ValueError, match=rf"divisible by \d+, .* Received: {shape}\. {advice}$"
        ):
            networks.convolutional((*size, 1), filters=filters)

    def test_its_advice_is_good(self):
        for image_shape, filters in [((28, 28, 1), (32,)), ((32, 32, 1), (32, 64, 128))]:
            encoder, decoder = networks.convolutional(image_shape, filters=filters)
            assert encoder.input_shape[1:] == decoder.output_shape[1:] == image_shape


class TestConvolutionalMap:
    @CONVOLUTIONAL
    def test_encoder_cuts_patches_halves_and_looks_around(self, image_shape, filters):
        encoder, _ = networks.convolutional_map(image_shape, channels=2, filters=filters)
        set_weights(encoder)
        stem, *further, around = hidden(encoder)
        assert sizes(hidden(encoder)) == (*filters, filters[-1])
        x = np.random.default_rng(1).random((2, *image_shape), "float32")
        expected = silu(patches(x, *stem))
        for layer in further:
            expected = silu(convolution(expected, *layer, stride=2))
        expected = silu(convolution(expected, *around))
        for found, name in zip(run(encoder, x), ("z_mean", "z_log_var"), strict=True):
            kernel, bias = weights(encoder.get_layer(name))
            assert_close(found, dense(expected, kernel[0, 0], bias))

    @CONVOLUTIONAL
    def test_decoder_looks_around_doubles_and_makes_patches(self, image_shape, filters):
        _, decoder = networks.convolutional_map(image_shape, channels=2, filters=filters)
        set_weights(decoder)
        first, *further, last = hidden(decoder)
        z = np.random.default_rng(1).normal(size=(2, *decoder.input_shape[1:]))
        x = silu(convolution(z, *first))
        for layer in further:
            x = depth_to_space(silu(convolution(x, *layer)), 2)
        x = depth_to_space(convolution(x, *last), networks.STEM)
        assert x.shape[1:] == image_shape
        assert_close(run(decoder, z.astype("float32")), x)

    def test_a_size_that_the_strides_do_not_divide_is_refused(self):
        with pytest.raises(ValueError, match=r"divisible by 8.* filters=\(32,\)\."):
            networks.convolutional_map((28, 28, 1))

    def test_an_autoencoders_encoder_returns_the_map_alone(self):
        encoder, decoder = networks.convolutional_map((16, 24, 1), 3, variational=False)
        assert encoder.output_shape == decoder.input_shape == (None, 2, 3, 3)


class TestDense:
    @DENSE
    @pytest.mark.parametrize("units", [(), (5, 3)], ids=["linear", "hidden"])
    def test_encoder_reads_row_by_row(self, image_shape, units):
        encoder, _ = networks.dense(image_shape, latent_dim=4, units=units)
        set_weights(encoder)
        assert sizes(hidden(encoder)) == units
        images = np.random.default_rng(1).random((2, *image_shape), "float32")
        x = images.reshape(2, -1)
        for layer in hidden(encoder):
            x = relu(dense(x, *layer))
        for found, expected in zip(run(encoder, images), posterior(encoder, x), strict=True):
            assert_close(found, expected)

    @DENSE
    @pytest.mark.parametrize("units", [(), (5, 3)], ids=["linear", "hidden"])
    def test_decoder_writes_row_by_row(self, image_shape, units):
        _, decoder = networks.dense(image_shape, latent_dim=4, units=units)
        set_weights(decoder)
        *further, last = hidden(decoder)
        assert sizes(further) == units[::-1]
        x = z = np.random.default_rng(1).normal(size=(2, 4)).astype("float32")
        for layer in further:
            x = relu(dense(x, *layer))
        image = dense(x, *last).reshape(2, *image_shape)
        assert_close(run(decoder, z), image)


@pytest.mark.parametrize("build", [networks.dense, networks.convolutional])
def test_an_autoencoders_encoder_returns_the_code_alone(build):
    encoder, decoder = build((16, 16, 1), latent_dim=3, variational=False)
    assert isinstance(encoder.output, keras.KerasTensor)
    assert encoder.output_shape == decoder.input_shape == (None, 3)
    set_weights(encoder)
    # No activation: a code takes either sign.
    z = run(encoder, np.random.default_rng(1).random((20, 16, 16, 1)))
    assert z.min() < 0 < z.max()
