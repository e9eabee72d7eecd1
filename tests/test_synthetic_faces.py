"""Drawn faces: the same factors give the same pixels, and an edit changes what it names."""

import numpy as np
import pytest

from vae_keras.datasets.synthetic.faces import (
    ATTRIBUTE_NAMES,
    EDITABLE_NAMES,
    attributes,
    draw,
    edit,
    sample_factors,
)

pytestmark = pytest.mark.any_backend

# Positive rates in the first 8,000 images of CelebA.
CELEBA_RATES = {
    "Bald": 0.03, "Bangs": 0.15, "Black_Hair": 0.24, "Blond_Hair": 0.15, "Bushy_Eyebrows": 0.14,
    "Eyeglasses": 0.07, "Gray_Hair": 0.05, "Heavy_Makeup": 0.38, "Male": 0.42,
    "Mouth_Slightly_Open": 0.48, "Mustache": 0.04, "No_Beard": 0.83, "Pale_Skin": 0.04,
    "Receding_Hairline": 0.08, "Smiling": 0.48, "Wavy_Hair": 0.32, "Wearing_Hat": 0.05,
    "Wearing_Lipstick": 0.46, "Young": 0.78,
}  # fmt: skip

# Correlations above 0.2 in size in the same images.
CELEBA_CORRELATIONS = {
    ("Smiling", "Mouth_Slightly_Open"): 0.53,
    ("Male", "Wearing_Lipstick"): -0.78,
    ("Male", "Heavy_Makeup"): -0.66,
    ("Male", "No_Beard"): -0.52,
    ("Male", "Blond_Hair"): -0.31,
    ("Male", "Wavy_Hair"): -0.32,
    ("Male", "Young"): -0.29,
    ("Male", "Bushy_Eyebrows"): 0.24,
    ("Mustache", "No_Beard"): -0.60,  # -0.43 in CelebA, where moustaches are half as frequent
    ("Wearing_Lipstick", "Heavy_Makeup"): 0.80,
    ("Young", "Gray_Hair"): -0.39,
    ("Young", "Eyeglasses"): -0.21,
    ("Blond_Hair", "Black_Hair"): -0.23,
    ("Bushy_Eyebrows", "Black_Hair"): 0.25,
}


@pytest.fixture(scope="module")
def population():
    factors = sample_factors(8000, seed=3)
    return factors, dict(zip(ATTRIBUTE_NAMES, attributes(factors).T, strict=True))


def facing(n, seed=0):
    """Faces that look straight ahead, so that a part's place in the frame is known."""
    factors = sample_factors(n, seed)
    for name in ("yaw", "pitch", "roll", "shift_x", "shift_y"):
        factors[name] = np.zeros(n, "float32")
    factors["scale"] = np.full(n, 0.9, "float32")
    return factors


def changed(factors, **edit):
    """Bool (n, 64, 64): which pixels an edit of the factors changes."""
    edited = factors | {name: np.full_like(factors[name], value) for name, value in edit.items()}
    return np.any(draw(factors) != draw(edited), axis=-1)


def test_faces_depend_on_the_seed_alone():
    first, again, other = (draw(sample_factors(6, seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.uint8
    assert first.shape == (6, 64, 64, 3)
    assert np.any(first != other)


def test_a_face_does_not_depend_on_how_many_are_sampled():
    few, many = sample_factors(5, seed=4), sample_factors(500, seed=4)
    for name, values in few.items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, many[name][:5])


def test_a_face_does_not_depend_on_those_drawn_with_it():
    # Windows are cut around the faces of a chunk: what they cut away must be empty.
    factors = sample_factors(80, seed=5)
    together = draw(factors)
    alone = [draw({k: v[i : i + 1] for k, v in factors.items()})[0] for i in range(80)]
    np.testing.assert_array_equal(together, alone)


def test_a_smile_changes_the_mouth_and_cheeks_only():
    factors = facing(40)
    factors["smile"][:] = -0.2
    difference = changed(factors, smile=0.9)
    assert np.all(difference[:, 45:55, 20:44].sum(axis=(1, 2)) > 40)
    difference[:, 35:60, 16:48] = False
    assert not difference.any()


def test_opening_the_mouth_changes_the_mouth_only():
    factors = facing(40)
    factors["mouth_open"][:] = 0.0
    difference = changed(factors, mouth_open=1.0)
    assert np.all(difference.sum(axis=(1, 2)) > 20)
    difference[:, 44:60, 22:42] = False
    assert not difference.any()


def test_eyeglasses_change_the_height_of_the_eyes_only():
    factors = facing(40)
    factors["eyeglasses"][:] = 0.0
    difference = changed(factors, eyeglasses=1.0)
    assert np.all(difference[:, 26:40].sum(axis=(1, 2)) > 60)
    difference[:, 25:40] = False
    assert not difference.any()


def test_lipstick_keeps_the_shape_of_everything_but_the_lips():
    factors = facing(40)
    factors["lipstick"][:] = 0.0
    difference = changed(factors, lipstick=1.0)
    difference[:, 45:58, 22:42] = False
    assert not difference.any()


def test_every_factor_is_seen_and_none_jumps():
    factors = sample_factors(12, seed=6)
    for name in ("hat", "eyeglasses", "beard", "mustache"):
        factors[name][:] = 0.0
        factors[name][:3] = 0.9
    faces = draw(factors).astype("float32")

    def change(name, amount):
        edited = factors | {name: factors[name] + np.float32(amount)}
        return np.abs(draw(edited) - faces).mean(axis=(1, 2, 3)).max()

    for name in factors:
        assert change(name, 0.01) < 4.0, name  # of 255; a third of a pixel's shift makes 3
        assert change(name, 0.3) > 0.05, name


def test_the_size_of_the_image_changes_its_resolution_only():
    factors = sample_factors(20, seed=7)
    large, small = draw(factors, image_size=128), draw(factors, image_size=32)
    shrunk = large.reshape(20, 32, 4, 32, 4, 3).mean(axis=(2, 4))
    assert small.shape == (20, 32, 32, 3)
    assert np.abs(shrunk - small).mean() < 6.0


def test_attributes_are_about_as_frequent_as_in_celeba(population):
    _, attribute = population
    for name, rate in CELEBA_RATES.items():
        assert attribute[name].mean() == pytest.approx(rate, abs=0.06), name
    # CelebA leaves a third of its hair without a colour; drawn hair is seldom ambiguous.
    assert 0.2 < attribute["Brown_Hair"].mean() < 0.45
    for name, values in attribute.items():
        assert 0.04 <= values.mean() <= 0.96, name


@pytest.mark.parametrize(("pair", "expected"), CELEBA_CORRELATIONS.items())
def test_attributes_are_correlated_as_in_celeba(population, pair, expected):
    _, attribute = population
    correlation = np.corrcoef(attribute[pair[0]], attribute[pair[1]])[0, 1]
    assert np.sign(correlation) == np.sign(expected)
    assert correlation == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize(
    "exclusive",
    [
        ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair", "Bald"),
        ("Bald", "Bangs", "Wearing_Hat"),
        ("Bald", "Receding_Hairline", "Wearing_Hat"),
        ("Bald", "Wavy_Hair"),
        ("Mustache", "No_Beard"),
    ],
)
def test_exclusive_attributes_never_meet(population, exclusive):
    _, attribute = population
    assert np.sum([attribute[name] for name in exclusive], axis=0).max() == 1


def test_only_men_are_bearded_or_bald(population):
    _, attribute = population
    for beard in (~attribute["No_Beard"], attribute["Mustache"], attribute["Bald"]):
        assert np.all(attribute["Male"][beard])


def test_attributes_follow_an_edit_of_the_factors():
    factors = sample_factors(30, seed=8)
    edited = factors | {"smile": np.ones(30, "float32"), "eyeglasses": np.ones(30, "float32")}
    before, after = attributes(factors), attributes(edited)
    named = [ATTRIBUTE_NAMES.index(name) for name in ("Smiling", "Eyeglasses")]
    assert after[:, named].all()
    np.testing.assert_array_equal(np.delete(before, named, axis=1), np.delete(after, named, axis=1))


def test_errors_name_what_came():
    factors = sample_factors(2)
    with pytest.raises(ValueError, match=r"`image_size` must be at least 16\. .*=4"):
        draw(factors, image_size=4)
    with pytest.raises(ValueError, match=r"`n` must be at least 1\. .*n=0"):
        sample_factors(0)
    del factors["smile"]
    with pytest.raises(ValueError, match=r"Missing: \['smile'\]"):
        draw(factors)


# What cannot but change with an attribute: hair has one colour, and a hat hides its absence.
COLOURS = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")
FOLLOWS = {
    "Black_Hair": COLOURS,
    "Blond_Hair": COLOURS,
    "Wearing_Hat": (*COLOURS, "Bald", "Bangs", "Receding_Hairline", "Wavy_Hair"),
}
# What may overrule it.
OVERRULED = {"Bangs": 0.7, "Black_Hair": 0.6, "Blond_Hair": 0.6}


@pytest.mark.parametrize("name", EDITABLE_NAMES)
@pytest.mark.parametrize("present", [True, False])
def test_a_true_edit_changes_its_attribute_and_no_other(population, name, present):
    factors, columns = population
    edited = dict(zip(ATTRIBUTE_NAMES, attributes(edit(factors, name, present)).T, strict=True))
    wrong = columns[name] != present
    reached = np.mean(edited[name][wrong] == present)
    assert reached == 1.0 if name not in OVERRULED or not present else reached > OVERRULED[name]
    for other in set(ATTRIBUTE_NAMES) - {name, *FOLLOWS.get(name, ())}:
        if name == "Wearing_Hat" and other in ("Bald", "Bangs", "Receding_Hairline"):
            continue  # a hat hides them
        np.testing.assert_array_equal(edited[other], columns[other], other)


def test_a_true_edit_leaves_faces_that_need_none():
    factors = sample_factors(200)
    has = attributes(factors)[:, ATTRIBUTE_NAMES.index("Smiling")]
    before, after = draw(factors), draw(edit(factors, "Smiling"))
    assert has.any()
    np.testing.assert_array_equal(before[has], after[has])
    assert np.any(before[~has] != after[~has], axis=(1, 2, 3)).all()


def test_an_attribute_without_a_factor_of_its_own_cannot_be_edited():
    with pytest.raises(ValueError, match=r"`name` must be one of .*name='Attractive'"):
        edit(sample_factors(1), "Attractive")
