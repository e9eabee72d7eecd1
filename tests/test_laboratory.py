"""In the laboratory only what is studied differs, and the truth about an edit is known."""

import copy

import numpy as np
import pytest

from vae_keras.datasets.synthetic import faces
from vae_keras.laboratory import Laboratory


@pytest.fixture(scope="module")
def lab():
    lab = Laboratory(seed=0, num_train=32, num_test=12, image_size=16)
    lab.fit(epochs=1, latent_dim=4)
    return lab


def test_faces_are_drawn_with_their_attributes(lab):
    assert lab.images.shape == (32, 16, 16, 3)
    assert 0 <= lab.images.min() < lab.images.max() <= 1
    assert lab.attributes.shape == (32, len(faces.ATTRIBUTE_NAMES))
    assert lab.codes.shape == (32, 4)


def test_what_is_not_studied_is_the_same_on_all_faces(lab):
    corner = lab.images[:, 0, 0]
    np.testing.assert_allclose(corner, np.broadcast_to(corner[0], corner.shape), atol=0.02)


def test_a_pair_differs_by_the_attribute_alone(lab):
    before, goal = lab.pairs("Eyeglasses")
    assert len(before) == len(goal) > 0
    changed = np.abs(goal - before).max(axis=(0, -1)) > 0.02
    assert changed[5:10].any()  # about the eyes
    assert not changed[:3].any()


def test_a_true_vector_is_the_mean_change_from_without_to_with(lab):
    def codes(present):
        return lab.vae.encode(lab._draw(faces.edit(lab._held_out, "Smiling", present)))

    change = (codes(True) - codes(False)).mean(axis=0)
    np.testing.assert_allclose(lab.true_vectors["Smiling"], change, atol=1e-6)
    assert np.abs(change).max() > 1e-4


def test_true_vectors_are_made_of_themselves(lab):
    lab, rng = copy.copy(lab), np.random.default_rng(0)
    lab.codes = rng.standard_normal((60, 16))
    lab.true_vectors = {name: rng.standard_normal(16) for name in faces.EDITABLE_NAMES}
    zero = np.zeros(16)
    vectors = np.stack([lab.true_vectors.get(name, zero) for name in faces.ATTRIBUTE_NAMES])
    parts = lab.parts(2 * vectors)
    assert parts["Smiling", "Smiling"] == pytest.approx(2)
    assert parts["Smiling", "Mouth_Slightly_Open"] == pytest.approx(0, abs=1e-6)


def test_without_an_edit_nothing_changes_elsewhere(lab):
    to_goal, elsewhere = lab.distances("Bangs", {"none": np.zeros(4), "far": np.full(4, 9.0)})
    assert elsewhere["none"] == pytest.approx(0, abs=1e-6)
    assert elsewhere["far"] > 0
    assert to_goal["none"] > 0
