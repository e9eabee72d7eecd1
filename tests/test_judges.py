"""A judge sees what it has learned, and an edit is counted for what it does and no more."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers

from vae_keras import VAE, judges

NAMES = ["bright", "corner"]


@pytest.fixture
def photographs():
    """Dark faces and bright ones, as on disk."""
    rng = np.random.default_rng(0)
    bright = np.arange(32) % 2 == 1
    levels = rng.integers(0, 100, (32, 16, 16, 3)) + 150 * bright[:, None, None, None]
    return levels.astype("uint8"), np.stack([bright, rng.random(32) < 0.5], axis=1)


def blind(network="strided", **kwargs):
    """A judge whose logits are its biases: it sees nothing, whatever the image."""
    judge = judges.Judge(NAMES, network, (16, 16, 3), **kwargs)
    kernel, bias = judge.network.layers[-1].get_weights()
    judge.network.layers[-1].set_weights([np.zeros_like(kernel), bias - 1])
    return judge


@pytest.mark.parametrize(("network", "blur"), [("strided", 0.0), ("pooled", 1.5)])
def test_a_judge_learns_to_see_what_is_plain(photographs, network, blur):
    images, attributes = photographs
    judge = judges.Judge(NAMES, network, (16, 16, 3), blur=blur)
    judge.fit(images, attributes, epochs=8, batch_size=8)
    assert judge.balanced_accuracy(images, attributes)["bright"] > 0.9


def test_levels_on_disk_and_pixels_up_to_1_look_the_same(photographs):
    images = photographs[0][:4]
    judge = judges.Judge(NAMES, "pooled", (16, 16, 3))
    np.testing.assert_allclose(
        judge.features(images), judge.features(images.astype("float32") / 255), rtol=1e-4, atol=1e-5
    )
    assert judge.sees(images).shape == (4, 2)


def test_who_never_says_yes_is_right_for_half_by_balanced_accuracy(photographs):
    images, _ = photographs
    rare = np.zeros((32, 2), bool)
    rare[:3, 0] = True
    scores = blind().balanced_accuracy(images, rare)
    assert scores["bright"] == 0.5
    assert np.isnan(scores["corner"])  # nobody has it


def test_blur_changes_each_image_by_another_amount(photographs):
    images = np.tile(photographs[0][:1], (3, 1, 1, 1))
    blurred = blind(blur=1.5)._blurred(images)
    contrast = blurred.std(axis=(1, 2, 3))
    assert np.all(contrast < images[0].std() + 0.1)
    assert len(np.unique(contrast)) == 3


def test_an_unknown_network_is_named():
    with pytest.raises(ValueError, match="Received: network='deep'"):
        judges.Judge(NAMES, "deep")


@pytest.fixture
def vae():
    """Draws an image whose brightness is the first number, and its corner the sum of both."""
    image = keras.Input((4, 4, 1))
    flat = layers.Flatten()(image)
    encoder = keras.Model(image, [layers.Dense(2)(flat), layers.Dense(2)(flat)])
    code = keras.Input((2,))
    pixels = layers.Dense(16)
    decoder = keras.Model(code, layers.Reshape((4, 4, 1))(pixels(code)))
    corner = np.eye(16)[0]
    pixels.set_weights([np.stack([np.ones(16), 10 * corner]), np.zeros(16)])
    return VAE(encoder, decoder)


@pytest.fixture
def judge():
    """Sees whether the last pixel is bright, and whether the first is."""
    image = keras.Input((4, 4, 1))
    verdict = layers.Dense(2)
    network = keras.Model(image, verdict(layers.Flatten()(image)))
    verdict.set_weights([np.eye(16)[:, [15, 0]], np.full(2, -127.5)])
    return SimpleNamespace(network=network, attribute_names=NAMES)


@pytest.fixture
def trial(judge, vae):
    """Three dark faces and a bright one; the corners are like the rest."""
    codes = np.array([[-1, 0], [-1, 0], [-3, 0], [1, 0]], "float32")
    return judges.EditTrial(judge, vae, codes, [[False, False]] * 3 + [[True, True]])


def test_no_edit_has_no_success_and_no_side_effects(trial):
    assert trial.count("bright", np.zeros(2)) == (0.0, 0.0)


def test_an_edit_counts_where_it_works_and_what_else_it_changes(trial):
    # Two of the three faces become bright, and their corners with them.
    assert trial.count("bright", np.array([2.0, 0.0])) == pytest.approx((2 / 3, 2 / 3))
    # The same with the corners held.
    assert trial.count("bright", np.array([2.0, -1.0])) == pytest.approx((2 / 3, 0.0))


def test_each_face_can_get_an_edit_of_its_own(trial):
    missing = np.array([[2, 0], [2, 0], [4, 0], [0, 0]], "float32")
    assert trial.count("bright", missing) == (1.0, 1.0)


def test_an_attribute_is_taken_away_from_those_who_have_it(trial):
    success, side_effects = trial.measure("bright", [[-2.0, 0.0], [0.0, 0.0]], present=True)
    np.testing.assert_array_equal(success, [1.0, 0.0])
    np.testing.assert_array_equal(side_effects, [1.0, 0.0])


def test_side_effects_can_be_those_on_a_companion_alone(judge, vae):
    judge.attribute_names = [*NAMES, "never"]
    verdict = layers.Dense(3)
    image = keras.Input((4, 4, 1))
    judge.network = keras.Model(image, verdict(layers.Flatten()(image)))
    verdict.set_weights([np.eye(16)[:, [15, 0, 0]], np.array([-127.5, -127.5, -1e9])])
    trial = judges.EditTrial(judge, vae, np.full((3, 2), [-1, 0], "float32"), np.zeros((3, 3)))
    brighter = [np.array([2.0, 0.0])]
    assert trial.measure("bright", brighter)[1] == [0.5]  # of two others, the corner
    assert trial.measure("bright", brighter, companion="corner")[1] == [1.0]
    assert trial.measure("bright", brighter, companion="never")[1] == [0.0]


def test_curves_hold_each_way_at_its_strengths(trial):
    def shift(name, way, strength, codes):
        assert (name, codes.shape) == ("bright", (4, 2))
        return strength * {"along": np.array([1.0, 0.0]), "away": np.array([-1.0, 0.0])}[way]

    curves = trial.curves("bright", shift, {"along": (0, 2, 4), "away": (0, 9)})
    np.testing.assert_array_equal(curves["along"].strengths, [0, 2, 4])
    np.testing.assert_allclose(curves["along"].success, [0, 2 / 3, 1])
    np.testing.assert_array_equal(curves["away"].success, [0, 0])


def test_curves_are_also_of_taking_away(trial):
    def shift(name, way, strength, codes):
        return np.array([-strength, 0.0])

    curves = trial.curves("bright", shift, {"along": (0, 2)}, present=True, companion="corner")
    np.testing.assert_array_equal(curves["along"].success, [0, 1])
    np.testing.assert_array_equal(curves["along"].side_effects, [0, 1])


def test_errors_name_what_came(trial, judge, vae):
    with pytest.raises(ValueError, match="Received: name='Smiling'"):
        trial.count("Smiling", np.zeros(2))
    with pytest.raises(ValueError, match=r"attributes of shape \(2, 2\), 3 codes"):
        judges.EditTrial(judge, vae, np.zeros((3, 2)), np.zeros((2, 2)))
    none = judges.EditTrial(judge, vae, np.zeros((3, 2)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"with the attribute to edit\. Received: name='bright'"):
        none.count("bright", np.zeros(2), present=True)


def curve(strengths, success, side_effects):
    return judges.Curve(*(np.array(values, float) for values in (strengths, success, side_effects)))


CURVES = {
    "dear": curve([0, 1, 2], [0.0, 0.5, 1.0], [0.0, 0.2, 0.6]),
    "cheap": curve([0, 1, 2], [0.0, 0.6, 0.92], [0.0, 0.1, 0.2]),
}


def test_the_choice_has_fewest_side_effects_among_those_that_work():
    assert judges.choose(CURVES, aim=0.5) == ("cheap", 1.0, 0.6)
    assert judges.choose(CURVES, aim=0.58) == ("cheap", 2.0, 0.92)  # 0.6 lacks the margin
    assert judges.choose(CURVES, aim=0.9) == ("dear", 2.0, 1.0)
    assert judges.choose(CURVES, aim=0.99) == ("dear", 2.0, 1.0)  # as high as any comes


def test_side_effects_are_read_along_straight_lines_and_infinite_beyond():
    assert judges.side_effects_at(CURVES["dear"], 0.75) == pytest.approx(0.4)
    assert judges.side_effects_at(CURVES["cheap"], 0.95) == np.inf


def test_two_ways_are_compared_at_a_success_that_both_reach():
    dear_at_92 = 0.2 + 0.4 * (0.92 - 0.5) / 0.5
    assert judges.relative_cost(CURVES, "cheap", "dear", most=0.6) == pytest.approx(0.1 / 0.28)
    assert judges.relative_cost(CURVES, "dear", "cheap", most=1.0) == pytest.approx(
        dear_at_92 / 0.2
    )
    assert judges.relative_cost(CURVES, "cheap", "dear", most=1.0) == pytest.approx(
        0.2 / dear_at_92
    )
