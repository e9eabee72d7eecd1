"""A laboratory of drawn faces, in which the right answer to an edit is known."""

import numpy as np

from vae_keras import networks
from vae_keras.datasets.synthetic import faces
from vae_keras.models import VAE
from vae_keras.optimizers import STEPS_AT_ONCE, FusedAdam, warmup_and_cosine

# What one does not study is held still: pose, light, gaze, background and clothes.
STILL = ("yaw", "pitch", "roll", "scale", "shift", "light", "bright", "gaze", "backg", "clothes")
BATCH = 64
FILTERS = (24, 48, 96)  # these faces differ in less than photographs do
SAME = 0.02  # a pixel that an edit changes by less is one that it leaves alone


class Laboratory:
    """Drawn faces that differ in little but their attributes, and a small VAE that learns them.

    Args:
        seed: Integer, of the faces.
        num_train: Integer, faces to learn from.
        num_test: Integer, faces held out, on which edits are measured.
        image_size: Integer, pixels along a side.

    Attributes:
        images: Array `(num_train, image_size, image_size, 3)` in [0, 1].
        attributes: Bool array `(num_train, num_attributes)`, in the order of
            `faces.ATTRIBUTE_NAMES`.
        codes: Array `(num_train, latent_dim)`, after `fit`.
        true_vectors: Dict, after `fit`: for each attribute that can be edited alone, the mean
            over held-out faces of the code of the face drawn with it, minus that of the same face
            drawn without it.
    """

    def __init__(self, seed=0, num_train=4_000, num_test=600, image_size=32):
        self.image_size = image_size
        factors = faces.sample_factors(num_train + num_test, seed)
        factors |= {
            name: np.full_like(values, np.median(values))
            for name, values in factors.items()
            if name.startswith(STILL)
        }
        self._held_out = {name: values[num_train:] for name, values in factors.items()}
        factors = {name: values[:num_train] for name, values in factors.items()}
        self.images, self.attributes = self._draw(factors), faces.attributes(factors)

    def _draw(self, factors):
        return faces.draw(factors, self.image_size).astype("float32") / 255

    def fit(self, epochs=12, latent_dim=64, peak_learning_rate=3e-3):
        """Trains the VAE on the faces, finds their codes and the true vectors."""
        shape = self.images.shape[1:]
        parts = networks.convolutional(shape, latent_dim, filters=FILTERS)
        self.vae = VAE(*parts, likelihood="gaussian")
        rate = warmup_and_cosine(peak_learning_rate, epochs * len(self.images) // BATCH)
        optimizer = FusedAdam(rate, beta_2=0.99, global_clipnorm=2e4)
        self.vae.compile(optimizer, steps_per_execution=STEPS_AT_ONCE)
        self.vae.fit(self.images, epochs=epochs, batch_size=BATCH, verbose=0)
        self.codes = self.vae.encode(self.images)
        codes = self.vae.encode(self._draw(self._held_out))
        self.true_vectors = {name: self._true_vector(name, codes) for name in faces.EDITABLE_NAMES}

    def _true_vector(self, name, codes):
        # With it or without it, one of the two is the face as it is, which need not be drawn again.
        has = faces.attributes(self._held_out)[:, faces.ATTRIBUTE_NAMES.index(name)]
        given, taken = (faces.edit(self._held_out, name, present) for present in (True, False))
        turned = {factor: np.where(has, taken[factor], given[factor]) for factor in given}
        change = self.vae.encode(self._draw(turned)) - codes
        return np.where(has[:, None], -change, change).mean(axis=0)

    def parts(self, vectors):
        """Writes attribute vectors as sums of true ones.

        The fit weighs each direction by the inverse of the codes' covariance: what varies a lot
        anyway counts for less.

        Args:
            vectors: Array `(num_attributes, latent_dim)`, as `latent.attribute_vectors` returns.

        Returns:
            Dict, `(name, other)` to float: how many times the true vector of `other` is in the
            vector of `name`. Ideally 1 where the two are the same, and 0 elsewhere.
        """
        names = list(self.true_vectors)
        true = np.stack(list(self.true_vectors.values()))
        estimated = vectors[[faces.ATTRIBUTE_NAMES.index(name) for name in names]]
        precise = true @ np.linalg.inv(np.cov(self.codes.T))
        parts = np.linalg.solve(precise @ true.T, precise @ estimated.T).T
        return {
            (name, other): float(parts[i, j])
            for i, name in enumerate(names)
            for j, other in enumerate(names)
        }

    def distances(self, name, shifts):
        """Measures how far edited faces are from the faces that they should be.

        Args:
            name: String, the attribute added, one of `faces.EDITABLE_NAMES`.
            shifts: Dict, label to array `(latent_dim,)`: what is added to the codes.

        Returns:
            Pair of dicts, label to float, root mean squared over pixels in [0, 1]: the distance of
            the edited face to the face drawn with the attribute; and to the decoded face before
            the edit, where the drawn face has not changed.
        """
        before, goal = self.pairs(name)
        same = np.all(np.abs(goal - before) < SAME, axis=-1, keepdims=True)
        codes = self.vae.encode(before)
        decoded = self.vae.decode(codes)
        made = {label: self.vae.decode(codes + shift) for label, shift in shifts.items()}
        to_goal = {label: _root_mean_square(image - goal) for label, image in made.items()}
        return to_goal, {
            label: _root_mean_square(image - decoded, same) for label, image in made.items()
        }

    def pairs(self, name):
        """Draws held-out faces without an attribute and the same faces with it: two arrays."""
        goal = faces.edit(self._held_out, name)
        j = faces.ATTRIBUTE_NAMES.index(name)
        able = ~faces.attributes(self._held_out)[:, j] & faces.attributes(goal)[:, j]
        return self._draw(self._held_out)[able], self._draw(goal)[able]


def _root_mean_square(differences, where=True):
    where = np.broadcast_to(where, differences.shape)
    return float(np.sqrt(np.mean(differences**2, where=where)))
