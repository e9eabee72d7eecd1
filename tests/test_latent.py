"""Arithmetic in the latent space does what vectors do."""

import keras
import numpy as np
import pytest
from scipy import stats

from vae_keras import latent

METHODS = ["difference", "regression"]


@pytest.fixture
def planted():
    """Codes with a known effect of each attribute, two of which tend to come together."""
    rng = np.random.default_rng(0)
    first, third = rng.random((2, 4000)) < 0.4
    second = np.where(rng.random(4000) < 0.8, first, ~first)
    attributes = np.stack([first, second, third], axis=1)
    effects = rng.normal(size=(3, 5))
    codes = attributes @ effects + 0.1 * rng.normal(size=(4000, 5)) + rng.normal(size=5)
    return codes, attributes, effects


def test_differences_are_those_of_the_mean_codes(planted):
    codes, attributes, _ = planted
    expected = [codes[has].mean(0) - codes[~has].mean(0) for has in attributes.T]
    vectors = latent.attribute_vectors(codes, attributes)
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-6)


def test_regression_finds_each_effect_where_the_difference_mixes_correlated_ones(planted):
    codes, attributes, effects = planted
    regression, difference = (
        np.abs(latent.attribute_vectors(codes, attributes, method) - effects).max(axis=1)
        for method in ("regression", "difference")
    )
    assert regression.max() < 0.03
    assert difference[:2].min() > 0.3  # the two that come together
    assert difference[2] < 0.2  # the one that comes alone


def test_both_methods_agree_on_one_attribute(planted):
    codes, attributes, _ = planted
    one, other = (latent.attribute_vectors(codes, attributes[:, :1], method) for method in METHODS)
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_moving_the_origin_leaves_the_vectors(planted, method):
    codes, attributes, _ = planted
    moved = latent.attribute_vectors(codes + 3.0, attributes, method)
    still = latent.attribute_vectors(codes, attributes, method)
    np.testing.assert_allclose(moved, still, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_adding_a_vector_takes_the_average_without_to_the_average_with(planted, method):
    codes, attributes, _ = planted
    has = attributes[:, 2]
    (vector,) = latent.attribute_vectors(codes, attributes[:, 2:], method)
    np.testing.assert_allclose(codes[~has].mean(0) + vector, codes[has].mean(0), atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_adding_a_vector_and_taking_it_away_is_the_identity(planted, method):
    codes, attributes, _ = planted
    vectors = latent.attribute_vectors(codes, attributes, method)
    assert vectors.shape == (3, 5)
    assert vectors.dtype == np.float32
    codes = codes.astype("float32")
    np.testing.assert_allclose((codes + vectors[0]) - vectors[0], codes, atol=1e-6)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float16", object])
def test_zeros_and_ones_serve_as_attributes(planted, dtype):
    codes, attributes, _ = planted
    np.testing.assert_array_equal(
        latent.attribute_vectors(codes, attributes.astype(dtype)),
        latent.attribute_vectors(codes, attributes),
    )


def test_the_signs_of_celeba_are_refused_by_all_that_take_attributes(planted):
    codes, attributes, _ = planted
    vectors, signs = latent.attribute_vectors(codes, attributes), np.where(attributes, 1, -1)
    for refused in (
        lambda: latent.attribute_vectors(codes, signs),
        lambda: latent.attribute_standard_errors(codes, signs),
        lambda: latent.attribute_levels(codes, vectors, codes, signs),
    ):
        with pytest.raises(ValueError, match=r"must hold booleans.*`attributes == 1`"):
            refused()
    np.testing.assert_array_equal(latent.attribute_vectors(codes, signs == 1), vectors)


@pytest.mark.parametrize(
    ("codes", "attributes", "method", "message"),
    [
        (np.eye(3), np.eye(2), "difference", r"one row for each image.*\(3, 3\).*\(2, 2\)"),
        (np.eye(3), [True, False, True], "difference", r"one row.*attributes of shape \(3,\)"),
        (np.full((2, 2), np.nan), np.eye(2), "difference", "`codes` must not hold NaN"),
        (np.zeros((0, 2)), np.eye(2), "difference", "`codes` must hold at least one code"),
        (np.eye(2), [[1, 1], [0, 1]], "difference", r"same value throughout in columns \[1\]"),
        (np.eye(2), [[0, 1], [0, 0]], "regression", r"same value throughout in columns \[0\]"),
        (np.eye(2), [[-1], [1]], "difference", r"`attributes == 1`. Received: .* the value -1"),
        (np.eye(2), [[0.0], [0.5]], "difference", r"must hold booleans.* the value 0.5"),
        (np.eye(2), [[np.nan], [1.0]], "regression", r"must hold booleans.* the value nan"),
        (np.eye(2), [["yes"], ["no"]], "difference", r"must hold booleans.* the value yes"),
        (np.eye(2), np.eye(2), "mean", "`method` must be one of.*method='mean'"),
    ],
)
@pytest.mark.filterwarnings("ignore:Fewer than 20")
def test_attributes_that_give_no_vector_are_refused(codes, attributes, method, message):
    with pytest.raises(ValueError, match=message):
        latent.attribute_vectors(codes, attributes, method)


def test_standard_errors_are_the_spread_of_vectors_over_fresh_samples():
    rng = np.random.default_rng(0)
    effects, spread = rng.normal(size=(2, 3)), np.array([0.5, 1.0, 2.0])
    vectors, errors = {method: [] for method in METHODS}, {}
    for _ in range(300):
        first = rng.random(400) < 0.3
        attributes = np.stack([first, first ^ (rng.random(400) < 0.2)], axis=1)
        codes = attributes @ effects + spread * rng.normal(size=(400, 3))
        for method in METHODS:
            vectors[method].append(latent.attribute_vectors(codes, attributes, method))
            errors[method] = latent.attribute_standard_errors(codes, attributes, method)
    for method in METHODS:
        np.testing.assert_allclose(errors[method], np.std(vectors[method], axis=0), rtol=0.25)


def test_the_difference_has_the_standard_error_of_scipy(planted):
    codes, attributes, _ = planted
    errors = latent.attribute_standard_errors(codes, attributes)
    for has, error in zip(attributes.T, errors, strict=True):
        test = stats.ttest_ind(codes[has], codes[~has], equal_var=False)
        expected = (codes[has].mean(0) - codes[~has].mean(0)) / test.statistic
        np.testing.assert_allclose(error, expected, rtol=2e-3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.filterwarnings("ignore:Fewer than 20")
def test_standard_errors_hold_where_few_images_have_an_attribute(method, count):
    rng = np.random.default_rng(0)
    attributes = (np.arange(30) < count)[:, None]
    codes = rng.normal(size=(1500, 30, 4)) * [0.5, 1.0, 1.0, 2.0]
    vectors = [latent.attribute_vectors(draw, attributes, method) for draw in codes]
    errors = [latent.attribute_standard_errors(draw, attributes, method) for draw in codes]
    # The squares are without bias, the errors themselves are not.
    expected = np.sqrt(np.mean(np.square(errors), axis=0))
    np.testing.assert_allclose(expected, np.std(vectors, axis=0), rtol=0.08)


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.filterwarnings("error", "ignore:Fewer than 20")
def test_one_image_does_not_show_how_far_chance_goes(alone):
    codes = np.random.default_rng(0).normal(size=(60, 3))
    attributes = np.stack([(np.arange(60) == 7) == alone, np.arange(60) < 30], axis=1)
    errors = latent.attribute_standard_errors(codes, attributes)
    assert np.all(np.isposinf(errors[0]))
    expected = np.sqrt((codes[:30].var(0, ddof=1) + codes[30:].var(0, ddof=1)) / 30)
    np.testing.assert_allclose(errors[1], expected, rtol=1e-5)


@pytest.mark.filterwarnings("error", "ignore:Fewer than 20")
def test_regression_on_one_image_takes_the_noise_from_the_others():
    codes = np.random.default_rng(0).normal(size=(60, 3))
    errors = latent.attribute_standard_errors(codes, (np.arange(60) == 7)[:, None], "regression")
    noise = np.delete(codes, 7, axis=0).std(axis=0, ddof=1)
    np.testing.assert_allclose(errors, [noise * np.sqrt(1 + 1 / 59)], rtol=1e-5)


@pytest.mark.parametrize(
    "attributes",
    [
        [[1], [0]],
        [[1, 0], [0, 1], [0, 0]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]],
    ],
)
@pytest.mark.filterwarnings("error", "ignore:Fewer than 20")
def test_regression_on_too_few_images_to_show_noise_has_no_finite_error(attributes):
    codes = np.random.default_rng(0).normal(size=(len(attributes), 2))
    errors = latent.attribute_standard_errors(codes, attributes, "regression")
    assert errors.shape == (len(attributes[0]), 2)
    assert errors.dtype == np.float32
    assert np.all(np.isposinf(errors))


def test_levels_are_0_without_and_1_with_an_attribute_and_adding_a_vector_adds_1(planted):
    codes, attributes, _ = planted
    vectors = latent.attribute_vectors(codes, attributes)
    levels = latent.attribute_levels(codes, vectors, codes, attributes)
    for column, has in enumerate(attributes.T):
        assert abs(levels[~has, column].mean()) < 1e-4
        assert abs(levels[has, column].mean() - 1) < 1e-4
        moved = latent.attribute_levels(codes + 3 * vectors[column], vectors, codes, attributes)
        np.testing.assert_allclose(moved[:, column], levels[:, column] + 3, atol=1e-3)


def test_a_level_is_the_discriminant_of_sklearn(planted):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    codes, attributes, _ = planted
    vectors = latent.attribute_vectors(codes, attributes)
    levels = latent.attribute_levels(codes, vectors, codes, attributes)[:, 0]
    scores = LinearDiscriminantAnalysis().fit(codes, attributes[:, 0]).decision_function(codes)
    assert np.corrcoef(levels, scores)[0, 1] > 0.9999


def test_levels_do_not_depend_on_a_dimension_that_never_varies(planted):
    codes, attributes, _ = planted
    vectors = latent.attribute_vectors(codes, attributes)
    expected = latent.attribute_levels(codes, vectors, codes, attributes)
    collapsed = np.insert(codes, 2, 0.7, axis=1)
    vectors = latent.attribute_vectors(collapsed, attributes)
    levels = latent.attribute_levels(collapsed, vectors, collapsed, attributes)
    np.testing.assert_allclose(levels, expected, atol=1e-4)
    elsewhere = collapsed + np.where(np.arange(6) == 2, 3.0, 0.0)
    moved = latent.attribute_levels(elsewhere, vectors, collapsed, attributes)
    np.testing.assert_allclose(moved, levels, atol=1e-4)


def test_levels_are_measured_in_dimensions_that_depend_on_each_other(planted):
    codes, attributes, _ = planted
    codes = codes + 50.0  # so far out float32 is coarse: they depend on each other up to rounding
    expected = latent.attribute_levels(
        codes, latent.attribute_vectors(codes, attributes), codes, attributes
    )
    twice = np.concatenate([codes, codes[:, :1] - 0.3 * codes[:, 1:2]], axis=1)
    vectors = latent.attribute_vectors(twice, attributes)
    levels = latent.attribute_levels(twice, vectors, twice, attributes)
    np.testing.assert_allclose(levels, expected, atol=1e-3)
    # Codes from elsewhere need not keep to the plane of these; what is off it does not count.
    off = np.array([1.0, -0.3, 0.0, 0.0, 0.0, -1.0])
    moved = latent.attribute_levels(twice + off, vectors, twice, attributes)
    np.testing.assert_allclose(moved, levels, atol=1e-3)


@pytest.mark.filterwarnings("ignore:Fewer than 20")
def test_fewer_codes_than_dimensions_have_levels():
    codes = np.random.default_rng(0).normal(size=(6, 9))
    attributes = np.arange(6)[:, None] < 3
    vectors = latent.attribute_vectors(codes, attributes)
    levels = latent.attribute_levels(codes, vectors, codes, attributes)
    np.testing.assert_allclose([levels[3:].mean(), levels[:3].mean()], [0, 1], atol=1e-4)
    moved = latent.attribute_levels(codes + vectors, vectors, codes, attributes)
    np.testing.assert_allclose(moved, levels + 1, atol=1e-4)


@pytest.mark.parametrize(
    ("z", "vectors", "codes", "message"),
    [
        (np.eye(3), np.eye(2), np.eye(2), r"same length of code.*z of shape \(3, 3\)"),
        (np.eye(2), np.eye(3), np.eye(2), r"same length of code.*vectors of shape \(3, 3\)"),
        (np.eye(2), np.eye(2)[:1], np.eye(2), r"one row for each.*vectors of shape \(1, 2\)"),
        (np.zeros(2), np.eye(2), np.eye(2), "`z` must hold at least one code"),
        (np.eye(2), [[1, -1], [0, 0]], np.eye(2), r"vary along. Received: rows \[1\] of `vec"),
        (np.eye(2), [[0, 1], [1, 0]], [[1, 0.3], [2, 0.3]], r"along. Received: rows \[0\] of"),
        (np.eye(2), np.eye(2), np.full((2, 2), 0.1), r"codes that differ.*2 times the same"),
    ],
)
@pytest.mark.filterwarnings("error", "ignore:Fewer than 20")
def test_levels_that_cannot_be_measured_are_refused(z, vectors, codes, message):
    with pytest.raises(ValueError, match=message):
        latent.attribute_levels(z, vectors, codes, np.eye(2))


def test_one_dimension_is_enough_for_attributes():
    rng = np.random.default_rng(0)
    attributes = rng.random((500, 1)) < 0.4
    has = attributes[:, 0]
    codes = rng.normal(size=(500, 1)) + 2.0 * attributes + 1.0
    without, step = codes[~has].mean(), codes[has].mean() - codes[~has].mean()
    for method in METHODS:
        vectors = latent.attribute_vectors(codes, attributes, method)
        np.testing.assert_allclose(vectors, [[step]], rtol=1e-5)
        levels = latent.attribute_levels(codes, vectors, codes, attributes)
        np.testing.assert_allclose(levels, (codes - without) / step, atol=1e-5)
    pair = codes[has], codes[~has]
    expected = np.sqrt(sum(half.var(ddof=1) / len(half) for half in pair))
    errors = latent.attribute_standard_errors(codes, attributes)
    np.testing.assert_allclose(errors, [[expected]], rtol=1e-5)
    pooled = np.sqrt(sum(half.var() * len(half) for half in pair) / 498)
    expected = pooled * np.sqrt(sum(1 / len(half) for half in pair))
    errors = latent.attribute_standard_errors(codes, attributes, "regression")
    np.testing.assert_allclose(errors, [[expected]], rtol=1e-5)


@pytest.mark.parametrize("rare", [True, False])
def test_an_attribute_that_few_images_have_or_lack_draws_a_warning(rare):
    codes = np.random.default_rng(0).normal(size=(100, 3))
    attributes = np.stack([np.arange(100) % 2 == 0, (np.arange(100) < 19) == rare], axis=1)
    with pytest.warns(UserWarning, match=r"Fewer than 20 images.*columns \[1\]"):
        latent.attribute_vectors(codes, attributes)


@pytest.fixture
def ends():
    """Two batches of three codes, of length 2 each."""
    rng = np.random.default_rng(0)
    ends = rng.normal(size=(2, 3, 6))
    return 2.0 * ends / np.linalg.norm(ends, axis=-1, keepdims=True)


@pytest.mark.parametrize("method", ["linear", "spherical"])
def test_a_walk_begins_at_the_start_and_stops_at_the_end(ends, method):
    walk = latent.interpolate(*ends, 7, method)
    assert walk.shape == (7, 3, 6)
    assert walk.dtype == np.float32
    np.testing.assert_allclose(walk[[0, -1]], ends, atol=1e-6)


def test_a_linear_walk_is_straight_and_even(ends):
    steps = np.diff(latent.interpolate(*ends, 5), axis=0)
    np.testing.assert_allclose(steps, np.tile((ends[1] - ends[0]) / 4, (4, 1, 1)), atol=1e-6)


def test_a_spherical_walk_keeps_its_length_and_turns_evenly(ends):
    walk = latent.interpolate(*ends, 6, "spherical")
    np.testing.assert_allclose(np.linalg.norm(walk, axis=-1), 2.0, rtol=1e-6)
    cosines = np.sum(walk[1:] * walk[:-1], axis=-1) / 4.0
    whole = np.arccos(np.sum(ends[0] * ends[1], axis=-1) / 4.0)
    np.testing.assert_allclose(np.arccos(cosines), np.tile(whole / 5, (5, 1)), rtol=1e-3)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ([1.0, 2.0], [1.0, 2.0]),
        ([1.0, 2.0], [2.0, 4.0]),
        ([1.0, 2.0], [-1.0, -2.0]),
        ([0.0, 0.0], [0.0, 0.0]),
    ],
)
def test_a_spherical_walk_is_straight_where_there_is_no_plane_to_turn_in(start, end):
    np.testing.assert_allclose(
        latent.interpolate(start, end, 5, "spherical"),
        latent.interpolate(start, end, 5, "linear"),
        atol=1e-6,
    )


def test_a_spherical_walk_from_the_origin_stays_on_its_ray():
    walk = latent.interpolate([0.0, 0.0], [3.0, 4.0], 5, "spherical")
    np.testing.assert_allclose(walk[[0, -1]], [[0.0, 0.0], [3.0, 4.0]], atol=1e-6)
    np.testing.assert_allclose(walk[:, 1] * 3, walk[:, 0] * 4, atol=1e-6)
    assert np.all(np.diff(walk[:, 0]) > 0)


def test_almost_parallel_codes_are_walked_without_loss():
    start, end = np.array([1.0, 0.0]), np.array([1.0, 1e-5])
    walk = latent.interpolate(start, end, 3, "spherical")
    np.testing.assert_allclose(walk[1], [1.0, 5e-6], rtol=1e-4)


@pytest.mark.parametrize("method", ["linear", "spherical"])
def test_one_dimension_has_one_way_to_walk(method):
    start, end = np.array([[1.0], [2.0], [0.0]]), np.array([[-1.0], [4.0], [3.0]])
    walk = latent.interpolate(start, end, 3, method)
    np.testing.assert_allclose(walk, [start, (start + end) / 2, end], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.0], [0.0, 1.0], 3), r"same shape.*\(1,\).*\(2,\)"),
        (([0.0], [1.0], 1), "`num_steps` must be >= 2. Received: num_steps=1"),
        (([0.0], [1.0], 3, "cubic"), "`method` must be one of.*'cubic'"),
    ],
)
def test_impossible_walks_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        latent.interpolate(*arguments)


def test_neighbours_on_the_grid_are_equally_probable_apart():
    codes, quantiles = latent.grid(5, edge=0.1)
    assert codes.shape == (25, 2)
    np.testing.assert_allclose(stats.norm.cdf(quantiles), [0.1, 0.3, 0.5, 0.7, 0.9], rtol=1e-5)


def test_the_grid_reads_from_the_top_left():
    codes, quantiles = latent.grid(3)
    rows = codes.reshape(3, 3, 2)
    for row in rows:
        np.testing.assert_array_equal(row[:, 0], quantiles)
    for column in rows.swapaxes(0, 1):
        np.testing.assert_array_equal(column[:, 1], quantiles[::-1])
    np.testing.assert_allclose(rows[1, 1], [0.0, 0.0], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((1,), "`num_steps` must be >= 2"), ((3, 0.0), "`edge` must"), ((3, 0.5), "edge=0.5")],
)
def test_a_grid_without_extent_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        latent.grid(*arguments)


def test_normal_cdf_agrees_with_scipy():
    codes = np.random.default_rng(0).normal(0, 3, (50, 2))
    np.testing.assert_allclose(latent.normal_cdf(codes), stats.norm.cdf(codes), atol=1e-7)
    assert latent.normal_cdf(codes).dtype == np.float32


def test_normal_cdf_makes_normal_codes_uniform():
    codes = np.random.default_rng(0).normal(size=5000)
    assert stats.kstest(latent.normal_cdf(codes), "uniform").pvalue > 0.001


@pytest.fixture
def clusters():
    """Codes in two clusters, each stretched its own way."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2, 3000, 2))
    narrow = noise[0] @ np.diag([0.1, 1.0]) + [3.0, 0.0]
    wide = noise[1] @ np.array([[1.0, 0.9], [0.0, 0.4]]) - [3.0, 0.0]
    return np.concatenate([narrow, wide[:1000]])


def test_a_gaussian_sampler_keeps_mean_and_covariance(clusters):
    drawn = latent.fit_gaussian(clusters).sample(200_000, seed=1)
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(drawn.mean(0), clusters.mean(0), atol=0.02)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(clusters.T), rtol=0.02, atol=0.02)


def test_a_mixture_sampler_keeps_the_clusters_and_their_shares(clusters):
    drawn = latent.fit_mixture(clusters, num_components=2).sample(100_000, seed=1)
    right = drawn[:, 0] > 1.5
    assert abs(right.mean() - 0.75) < 0.01
    np.testing.assert_allclose(np.cov(drawn[right].T), np.cov(clusters[:3000].T), atol=0.03)
    np.testing.assert_allclose(np.cov(drawn[~right].T), np.cov(clusters[3000:].T), atol=0.1)


def test_one_component_is_the_gaussian(clusters):
    one, other = latent.fit_gaussian(clusters), latent.fit_mixture(clusters, num_components=1)
    np.testing.assert_allclose(one.sample(50, seed=3), other.sample(50, seed=3), atol=0.02)


@pytest.mark.parametrize(
    "fit", [latent.fit_gaussian, lambda codes: latent.fit_mixture(codes, num_components=2)]
)
def test_one_dimension_is_enough_for_a_sampler(fit):
    codes = np.random.default_rng(0).normal(3.0, 2.0, (4000, 1))
    drawn = fit(codes).sample(100_000, seed=1)
    assert drawn.shape == (100_000, 1)
    assert stats.kstest(drawn[:, 0], stats.norm(3.0, 2.0).cdf).statistic < 0.02


@pytest.mark.parametrize("fit", [latent.fit_gaussian, latent.fit_mixture])
def test_a_dimension_that_never_varies_stays_as_it_is(clusters, fit):
    collapsed = np.insert(clusters, 1, [[0.1], [-7.0]], axis=1)
    drawn = fit(collapsed).sample(1000, seed=1)
    np.testing.assert_allclose(drawn[:, [1, 2]], np.tile([0.1, -7.0], (1000, 1)), rtol=1e-6)
    expected = fit(clusters).sample(1000, seed=1)
    np.testing.assert_allclose(drawn[:, [0, 3]].std(0), expected.std(0), rtol=0.1)


def test_dimensions_that_depend_on_each_other_do_so_when_drawn(clusters):
    codes = np.concatenate([clusters, clusters[:, :1] - 1e-3 * clusters[:, 1:]], axis=1)
    drawn = latent.fit_gaussian(codes).sample(50_000, seed=1)
    np.testing.assert_allclose(drawn[:, 2], drawn[:, 0] - 1e-3 * drawn[:, 1], atol=1e-3)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(codes.T), rtol=0.05, atol=0.02)


def test_scales_far_apart_are_kept(clusters):
    drawn = latent.fit_gaussian(clusters * [1e6, 1e-6]).sample(50_000, seed=1)
    np.testing.assert_allclose(drawn.std(0), clusters.std(0) * [1e6, 1e-6], rtol=0.02)


@pytest.mark.parametrize("covariance", [[[1.0, 2.0], [2.0, 1.0]], [[1.0, 0.0], [0.0, -1.0]]])
def test_a_covariance_that_is_none_is_refused(covariance):
    with pytest.raises(np.linalg.LinAlgError):
        latent.CodeSampler([1.0], [[0.0, 0.0]], [covariance])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("fit", [latent.fit_gaussian, latent.fit_mixture])
def test_codes_may_come_in_half_precision(clusters, fit, dtype):
    half = keras.ops.convert_to_numpy(keras.ops.cast(clusters, dtype))
    drawn = fit(half).sample(10_000, seed=1)
    np.testing.assert_allclose(drawn.std(0), clusters.std(0), rtol=0.05)


def test_a_sampler_repeats_itself_with_a_seed_and_not_without(clusters):
    sampler = latent.fit_mixture(clusters, num_components=2)
    np.testing.assert_array_equal(sampler.sample(5, seed=7), sampler.sample(5, seed=7))
    assert np.any(sampler.sample(5) != sampler.sample(5))


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (lambda: latent.fit_gaussian(np.full((9, 2), np.nan)), "`codes` must not hold NaN"),
        (lambda: latent.fit_gaussian(np.zeros((2, 2))), r"more codes than.*shape \(2, 2\)"),
        (lambda: latent.fit_gaussian(np.full((9, 2), 0.1)), "codes that differ.*9 times the same"),
        (lambda: latent.fit_mixture(np.full((9, 1), 0.1)), "codes that differ.*9 times the same"),
        (lambda: latent.fit_mixture(np.full((9, 2), np.nan)), "`codes` must not hold NaN"),
        (lambda: latent.fit_mixture(np.eye(4), 5), "codes, 4. Received: num_components=5"),
        (lambda: latent.fit_mixture(np.eye(4), 0), "num_components=0"),
    ],
)
def test_codes_that_no_sampler_can_be_fitted_to_are_refused(fit, message):
    with pytest.raises(ValueError, match=message):
        fit()


def test_the_aggregated_posterior_is_the_mean_of_the_posteriors(monkeypatch):
    monkeypatch.setattr(latent.aggregated, "CHUNK", 12)  # four codes at a time
    rng = np.random.default_rng(0)
    z_mean, z_log_var, z = rng.standard_normal((3, 9, 2)) * [[[1.0]], [[0.3]], [[1.5]]]
    deviations = np.exp(z_log_var / 2)
    each = stats.norm.pdf(z[:, None], z_mean[None], deviations[None]).prod(axis=2)
    log_prob = latent.AggregatedPosterior(z_mean, z_log_var).log_prob(z)
    np.testing.assert_allclose(log_prob, np.log(each.mean(axis=1)), rtol=1e-5)


def test_draws_of_the_aggregated_posterior_have_its_moments():
    z_mean, z_log_var = np.array([[0.0, 5.0], [4.0, 5.0]]), np.log([[1.0, 0.25], [9.0, 0.25]])
    aggregated = latent.AggregatedPosterior(z_mean, z_log_var)
    drawn = aggregated.sample(40_000, seed=0)
    assert drawn.shape == (40_000, 2)
    assert drawn.dtype == "float32"
    np.testing.assert_allclose(drawn.mean(axis=0), [2.0, 5.0], atol=0.06)
    np.testing.assert_allclose(drawn.var(axis=0), [(1 + 9) / 2 + 4, 0.25], rtol=0.03)
    np.testing.assert_array_equal(drawn, aggregated.sample(40_000, seed=0))


@pytest.mark.parametrize(
    ("z_mean", "z_log_var", "message"),
    [
        (np.zeros((3, 2)), np.zeros((3, 1)), r"the same shape. Received: \(3, 2\) and \(3, 1\)"),
        (np.full((3, 2), np.nan), np.zeros((3, 2)), "`z_mean` must not hold NaN"),
        (np.zeros((3, 2)), np.zeros(3), r"`z_log_var` must hold .* of shape \(3,\)"),
    ],
)
def test_posteriors_that_do_not_fit_are_refused(z_mean, z_log_var, message):
    with pytest.raises(ValueError, match=message):
        latent.AggregatedPosterior(z_mean, z_log_var)
