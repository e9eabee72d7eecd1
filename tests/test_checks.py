"""What would train a model on nonsense is refused, and the message says what came."""

import keras
import numpy as np
import pytest
from helpers import Batches

from vae_keras import VAE, Autoencoder, checks
from vae_keras.likelihoods import Bernoulli

BOUNDS = (0.0, 1.0)


def spoiled(images, value):
    images = images.copy()
    images[3, 2, 2, 0] = value
    return images


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "`x` must hold values in .*and no NaN. Received: values from nan"),
        (-0.01, r"values in \[0.0, 1.0\] and no NaN. Received: values from -0.0"),
        (np.inf, "to inf"),
        (255.0, "to 255.0. Divide 8-bit images by 255."),
    ],
)
def test_one_bad_pixel_is_found(images, value, message):
    with pytest.raises(ValueError, match=message):
        checks.check_images(spoiled(images, value), "x", (8, 8, 1), BOUNDS)


def test_8_bit_images_are_refused_with_the_remedy():
    images = np.full((2, 8, 8, 1), 200, "uint8")
    with pytest.raises(ValueError, match=r"to 200.0. Divide 8-bit images by 255."):
        checks.check_images(images, "x", (8, 8, 1), BOUNDS)


@pytest.mark.parametrize("shape", [(5, 8, 8), (5, 8, 8, 3), (5, 9, 8, 1), (8, 8, 1), (5,)])
def test_the_wrong_rank_or_size_is_refused(shape):
    with pytest.raises(ValueError, match=r"`y` must be images of shape \(8, 8, 1\).*Received: y"):
        checks.check_images(np.zeros(shape), "y", (8, 8, 1), BOUNDS)


@pytest.mark.parametrize(
    ("shape", "image_shape"),
    [((5, 8, 8, 1), (8, 8, 1)), ((5, 7, 9, 3), (None, None, 3)), ((5, 4), None), ((0, 8), (8,))],
)
def test_images_that_fit_pass(shape, image_shape):
    checks.check_images(np.ones(shape), "x", image_shape, BOUNDS)
    checks.check_images(np.zeros(shape), "x", image_shape, BOUNDS)


def test_a_stream_that_can_be_read_once_is_not_read():
    stream = iter([np.full((2, 8), np.nan)])
    checks.check_images(stream, "x", (8,), BOUNDS)
    assert len(list(stream)) == 1


@pytest.mark.parametrize("method", ["fit", "evaluate", "encode", "reconstruct"])
@pytest.mark.parametrize(
    "spoil", [lambda x: x * 255, lambda x: x[:, :4], lambda x: np.repeat(x, 3, axis=-1)]
)
def test_a_model_checks_the_images_it_is_given(make_vae, images, method, spoil):
    vae = make_vae()
    with pytest.raises(ValueError, match=r"Argument `x` must"):
        getattr(vae, method)(spoil(images))


@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_a_model_checks_the_images_it_is_to_reconstruct(make_vae, images, method):
    with pytest.raises(ValueError, match=r"Argument `y` must hold values"):
        getattr(make_vae(), method)(images, images - 1.0)


def test_a_model_checks_the_images_it_is_validated_on(make_vae, images):
    with pytest.raises(ValueError, match=r"Argument `x` must hold values"):
        make_vae().fit(images, validation_data=(images * 2,))


@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_labels_in_arrays_are_refused(make_vae, images, method):
    with pytest.raises(ValueError, match=r"labels are not used.*y of shape \(10,\)"):
        getattr(make_vae(), method)(images, np.arange(10))


@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_labels_in_a_stream_are_refused(make_vae, images, method):
    with pytest.raises(ValueError, match=r"labels are not used"):
        getattr(make_vae(traced=True), method)(Batches(images, np.arange(10)), verbose=0)


def test_labels_in_validation_data_are_refused_before_training(make_vae, images):
    vae = make_vae()
    with pytest.raises(ValueError, match=r"labels are not used"):
        vae.fit(images, validation_data=(images, np.arange(10)))
    assert int(vae.optimizer.iterations) == 0


def test_sizes_that_are_not_known_yet_pass():
    x, y = keras.KerasTensor((None, 8, 8, 1)), keras.KerasTensor((None, None, None, 1))
    assert checks.check_target(x, y) is y
    Bernoulli().check_decoded(x.shape, y.shape)


def test_the_target_is_the_image_itself_where_there_is_no_other():
    x, y = np.zeros((2, 3)), np.ones((2, 3))
    assert checks.check_target(x, None) is x
    assert checks.check_target(x, y) is y


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 1, 1)])
def test_one_weight_for_each_image_passes(shape):
    weight, per_image = checks.check_weight(np.ones(shape), np.ones((6, 8, 8, 1)))
    assert tuple(weight.shape) == (6,)
    assert per_image


@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 8), (6, 8, 1), (6, 8, 8, 1), (6, 1, 8, 1)])
def test_weights_along_the_leading_axes_pass(shape):
    weight, per_image = checks.check_weight(np.ones(shape), np.ones((6, 8, 8, 1)))
    assert tuple(weight.shape) == shape
    assert not per_image


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_what_is_not_a_keras_model_is_refused(make_networks, name):
    parts = dict(zip(("encoder", "decoder"), make_networks(), strict=True))
    with pytest.raises(ValueError, match=f"`{name}` must be a Keras model. Received: {name}=<fun"):
        VAE(**{**parts, name: lambda x: x})


def test_a_vae_refuses_an_encoder_without_a_posterior(make_networks):
    with pytest.raises(ValueError, match=r"two tensors, `\(z_mean, z_log_var\)`, as a VAE's enc"):
        VAE(*make_networks(variational=False))


@pytest.mark.parametrize("sizes", [(2, 3), (2, 2, 2)])
def test_a_vae_refuses_an_encoder_with_other_outputs_than_a_pair(make_networks, sizes):
    x = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(x)
    encoder = keras.Model(x, [keras.layers.Dense(size)(flat) for size in sizes])
    with pytest.raises(ValueError, match=r"`z_mean` and `z_log_var` must|Expected two tensors"):
        VAE(encoder, make_networks()[1])


def test_an_autoencoder_refuses_an_encoder_with_a_posterior(make_networks):
    with pytest.raises(ValueError, match=r"must return one tensor.*is for a VAE. Received: 2"):
        Autoencoder(*make_networks())


def test_a_decoder_for_other_images_is_refused(make_networks):
    encoder, _ = make_networks()
    _, decoder = make_networks(image_shape=(8, 8, 3))
    with pytest.raises(ValueError, match=r"images of shape \(8, 8, 1\), decoder.*\(8, 8, 3\)"):
        VAE(encoder, decoder)


def test_a_decoder_for_other_codes_is_refused(make_networks):
    with pytest.raises(
        ValueError, match=r"codes of shape \(2,\), a decoder of codes of shape \(3,\)"
    ):
        VAE(make_networks()[0], make_networks(latent_dim=3)[1])


@pytest.mark.parametrize("beta", [-1, -1e-9, float("nan")])
def test_beta_is_not_negative(make_networks, make_vae, beta):
    with pytest.raises(
        ValueError, match=r"Argument `beta` must be >= 0 and finite. Received: beta="
    ):
        VAE(*make_networks(), beta=beta)
    vae = make_vae(beta=2.0)
    with pytest.raises(
        ValueError, match=r"Argument `beta` must be >= 0 and finite. Received: beta="
    ):
        vae.beta = beta
    assert vae.beta == 2.0


def test_an_unknown_likelihood_is_refused(make_networks):
    with pytest.raises(ValueError, match=r"`likelihood` must be one of.*likelihood='mse'"):
        VAE(*make_networks(), likelihood="mse")
