"""Sets that are alike are not told apart, and the nearest image is the nearest."""

import numpy as np
import pytest

from vae_keras.two_samples import nearest, told_apart

pytestmark = pytest.mark.any_backend


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_two_draws_from_one_distribution_are_told_apart_by_chance_alone(rng):
    one, other = rng.standard_normal((2, 500, 3))
    assert told_apart(one, other) == pytest.approx(0.5, abs=0.06)


def test_what_lies_apart_is_told_apart(rng):
    one, other = rng.standard_normal((2, 200, 3))
    assert told_apart(one, other + 5) > 0.99


def test_company_that_no_histogram_shows_is_seen(rng):
    one = rng.standard_normal((500, 1)) + 0.3 * rng.standard_normal((500, 4))
    shuffled = rng.permuted(one, axis=0)
    np.testing.assert_array_equal(np.sort(one, axis=0), np.sort(shuffled, axis=0))
    assert told_apart(one, shuffled) > 0.8


def test_codes_with_nan_are_named():
    with pytest.raises(ValueError, match="`other` must not hold NaN"):
        told_apart(np.zeros((4, 2)), np.full((4, 2), np.nan))


def test_the_nearest_of_an_image_in_the_set_is_itself(rng):
    images = rng.random((7, 4, 4, 3), "float32")
    distances, positions = nearest(images[[2, 5]], images)
    np.testing.assert_array_equal(positions, [2, 5])
    np.testing.assert_allclose(distances, 0, atol=1e-3)


def test_a_distance_is_that_of_the_pixels(rng):
    images = rng.random((5, 4, 4, 3), "float32")
    distances, positions = nearest(images[:1] + 0.01, images)
    assert positions == [0]
    assert distances[0] == pytest.approx(0.01, rel=1e-2)


def test_batches_are_counted_through(rng):
    images = rng.random((7, 4, 4, 3), "float32")
    batches = [(images[:3],), (images[3:6],), (images[6:],)]
    for one, other in zip(nearest(images, batches), nearest(images, images), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
