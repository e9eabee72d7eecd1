"""Judges of edited faces: networks that say which attributes they see, and what is counted so."""

from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

from vae_keras.checks import check_codes
from vae_keras.optimizers import STEPS_AT_ONCE, FusedAdam, warmup_and_cosine

NETWORKS = ("strided", "pooled")
BATCH = 256  # images judged at a time
LEARNING_RATE = 3e-3


class Judge:
    """A network that says which attributes it sees in an image.

    It reads pixels as levels from 0 to 255, as they are on disk, and never
    meets the model whose images it judges.

    Args:
        attribute_names: Sequence of strings.
        network: `"strided"`, a few large strides; or `"pooled"`, small
            overlapping filters and pooling. Two judges that differ in it make
            different mistakes.
        image_shape: Tuple, of one image.
        blur: Float >= 0. It learns from images that are blurred, each by
            another amount up to this standard deviation, in pixels: the images
            that a decoder draws are soft, too.
        seed: Integer, of the amounts.

    Raises:
        ValueError: if the network is unknown.
    """

    def __init__(
        self, attribute_names, network="strided", image_shape=(64, 64, 3), blur=0.0, seed=0
    ):
        if network not in NETWORKS:
            raise ValueError(
                f"Argument `network` must be one of {NETWORKS}. Received: network={network!r}"
            )
        self.attribute_names = list(attribute_names)
        self.blur, self.rng = blur, np.random.default_rng(seed)
        image = keras.Input(image_shape, name="image")
        x = layers.RandomFlip("horizontal")(layers.Rescaling(1 / 255, -0.5)(image))
        x = _strided(x) if network == "strided" else _pooled(x)
        logits = layers.Dense(len(self.attribute_names))(layers.Dropout(0.5)(layers.Flatten()(x)))
        self.network = keras.Model(image, logits)
        self._eye = keras.Model(image, layers.GlobalAveragePooling2D()(x))

    def fit(self, images, attributes, epochs=8, batch_size=64, callbacks=None):
        """Learns from images and what is true of them.

        Args:
            images: Array `(n, height, width, channels)`: uint8, or floats in [0, 1].
            attributes: Bool array `(n, num_attributes)`.
            epochs: Integer.
            batch_size: Integer.
            callbacks: List of Keras callbacks, such as `plots.TrainingCurve`.
        """
        images, attributes = _levels(images), np.asarray(attributes, "float32")
        if self.blur:  # two blurred copies of each
            images = np.concatenate([self._blurred(images) for _ in range(2)])
            attributes = np.tile(attributes, (2, 1))
        rate = warmup_and_cosine(LEARNING_RATE, epochs * len(images) // batch_size)
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        self.network.compile(FusedAdam(rate), loss, steps_per_execution=STEPS_AT_ONCE)
        self.network.fit(images, attributes, batch_size, epochs, verbose=0, callbacks=callbacks)

    def _blurred(self, images):
        from scipy.ndimage import gaussian_filter

        sigmas = self.rng.uniform(0, self.blur, len(images))
        pairs = zip(images.astype("float32"), sigmas, strict=True)
        return np.stack([gaussian_filter(image, (sigma, sigma, 0)) for image, sigma in pairs])

    def sees(self, images):
        """Says which attributes are more likely than not: a bool array `(n, num_attributes)`."""
        return self.network.predict(_levels(images), batch_size=BATCH, verbose=0) > 0

    def features(self, images):
        """Returns what it sees wherever on the image it is: an array `(n, num_features)`."""
        return self._eye.predict(_levels(images), batch_size=BATCH, verbose=0)

    def balanced_accuracy(self, images, attributes):
        """Measures how often it is right, of the images with an attribute and of those without.

        Args:
            images: Array `(n, height, width, channels)`, as for `fit`.
            attributes: Bool array `(n, num_attributes)`, what is true of them.

        Returns:
            Dict, attribute name to float: the mean of the two shares; guessing
            scores 0.5. NaN where all images have the attribute, or none.
        """
        right = self.sees(images) == attributes
        shares = {}
        for name, is_right, has in zip(self.attribute_names, right.T, attributes.T, strict=True):
            parts = [is_right[has], is_right[~has]]
            shares[name] = float(np.mean([p.mean() if len(p) else np.nan for p in parts]))
        return shares


def _strided(x):
    for filters, size, stride in ((32, 4, 4), (64, 3, 2), (128, 3, 2)):
        x = layers.Conv2D(filters, size, stride, padding="same", use_bias=False)(x)
        x = layers.Activation("silu")(layers.BatchNormalization(momentum=0.9)(x))
    return x


def _pooled(x):
    x = layers.AveragePooling2D(2)(x)
    for filters in (32, 64, 128):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(layers.AveragePooling2D(2)(x)))
    return x


def _levels(images):
    return images if images.dtype == np.uint8 else 255 * images


class Curve(NamedTuple):
    """What an edit does at each of several strengths: three arrays of one length."""

    strengths: np.ndarray
    success: np.ndarray  # shares of faces, in [0, 1]
    side_effects: np.ndarray  # shares of the verdicts on all other attributes


class Choice(NamedTuple):
    """An edit that was chosen, and the success that its judge promises."""

    way: str
    strength: float
    success: float


class EditTrial:
    """Counts by a judge how often an edit of codes works, and what else it changes.

    Success is the share of the decoded faces that the judge sees with the
    attribute (or without it, where it is to be taken away); side effects are
    the share of its verdicts on all other attributes that changed.

    Args:
        judge: A `Judge`.
        vae: A `VAE`, whose decoder draws the edited codes.
        codes: Array `(n, latent_dim)`, of the faces.
        attributes: Bool array `(n, num_attributes)`, what is true of the photographs.

    Raises:
        ValueError: if the codes are not of that shape, or the attributes do not
            fit them and the judge.
    """

    def __init__(self, judge, vae, codes, attributes):
        self.judge = judge
        self.codes, self.attributes = check_codes(codes, "codes"), np.asarray(attributes, bool)
        if self.attributes.shape != (len(self.codes), len(judge.attribute_names)):
            raise ValueError(
                "Argument `attributes` must hold one row for each code and one column for each of "
                f"the judge's {len(judge.attribute_names)} attributes. Received: attributes of "
                f"shape {self.attributes.shape}, {len(self.codes)} codes"
            )
        decoded = vae.likelihood.mean(vae.decoder.output)
        # From codes to verdicts in one network: the images take no detour through NumPy.
        self._network = keras.Model(vae.decoder.input, judge.network(ops.multiply(decoded, 255)))
        self.before = self._sees(self.codes)

    def _sees(self, codes):
        return self._network.predict(codes, batch_size=BATCH, verbose=0) > 0

    def measure(self, name, shifts, present=False, companion=None):
        """Measures success and side effects of several edits.

        Args:
            name: String, the attribute.
            shifts: Sequence of arrays that are added to the codes: `(n, latent_dim)`, or
                `(latent_dim,)`, the same for each.
            present: Boolean, whether the faces edited are those with the
                attribute, to take it away, or those without, to add it.
            companion: String, the attribute whose verdicts alone are the side
                effects. By default all others are.

        Returns:
            Pair of arrays `(len(shifts),)`: success and side effects.
        """
        j = self._column(name)
        faces = np.flatnonzero(self.attributes[:, j] == present)
        if not len(faces):
            raise ValueError(
                f"There must be faces {'with' if present else 'without'} the attribute to edit. "
                f"Received: name={name!r}, of which there are none"
            )
        moved = [self.codes[faces] + np.broadcast_to(s, self.codes.shape)[faces] for s in shifts]
        after = self._sees(np.concatenate(moved)).reshape(len(shifts), len(faces), -1)
        success = np.mean(after[:, :, j] != present, axis=1)
        changed = after != self.before[faces]
        if companion is None:
            changed = np.delete(changed, j, axis=2)
        else:
            changed = changed[:, :, [self._column(companion)]]
        return success, np.mean(changed, axis=(1, 2))

    def count(self, name, shift, present=False):
        """Measures one edit as `measure` does: a pair of floats."""
        (success,), (side_effects,) = self.measure(name, [shift], present)
        return float(success), float(side_effects)

    def curves(self, name, shift, strengths, **measured):
        """Measures ways to edit an attribute, each at several strengths.

        Args:
            name: String, the attribute.
            shift: Function of `(name, way, strength, codes)`: what to add to the codes.
            strengths: Dict, way to a sequence of numbers.
            **measured: `present` and `companion`, as for `measure`.

        Returns:
            Dict, way to `Curve`.
        """
        found = {}
        for way, steps in strengths.items():
            shifts = [shift(name, way, strength, self.codes) for strength in steps]
            found[way] = Curve(
                np.asarray(steps, "float64"), *self.measure(name, shifts, **measured)
            )
        return found

    def _column(self, name):
        names = self.judge.attribute_names
        if name not in names:
            raise ValueError(f"Argument `name` must be one of {names}. Received: name={name!r}")
        return names.index(name)


def choose(curves, aim, margin=0.03):
    """Chooses the edit with the fewest side effects among those that work often enough.

    Args:
        curves: Dict, way to `Curve`, as `EditTrial.curves` returns it.
        aim: Float, the success to reach.
        margin: Float, by how much more: whoever chooses by one judge's verdicts
            finds where these are kind. Where no edit reaches so high, the one with
            most success is taken.

    Returns:
        A `Choice`.
    """
    points = [
        (side_effects, Choice(way, float(strength), float(success)))
        for way, curve in curves.items()
        for strength, success, side_effects in zip(*curve, strict=True)
    ]
    enough = min(aim + margin, max(choice.success for _, choice in points))
    return min(point for point in points if point[1].success >= enough)[1]


def side_effects_at(curve, success):
    """Reads the side effects off a curve, where it first reaches a success; infinite if never.

    Args:
        curve: A `Curve`, read along straight lines between its points.
        success: Float.
    """
    reached = np.maximum.accumulate(curve.success)
    return float(np.interp(success, reached, curve.side_effects, right=np.inf))


def relative_cost(curves, way, other, most=0.9):
    """Compares the side effects of two ways at one success.

    Args:
        curves: Dict, way to `Curve`.
        way: String, one of the ways.
        other: String, the way to compare with.
        most: Float, the success: that, or what both reach where that is less.

    Returns:
        Float, the side effects of `way` over those of `other`.
    """
    success = min(most, *(curves[key].success.max() for key in (way, other)))
    return side_effects_at(curves[way], success) / side_effects_at(curves[other], success)
