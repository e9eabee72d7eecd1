"""The random numbers of drawn images, and what is drawn from them."""

import numpy as np

NUM_CHANCES = 128  # numbers set aside for each image, however few are used


class Chances:
    """Independent columns of chance, taken one at a time.

    A row for each image, whose numbers do not depend on how many images there are.

    Args:
        uniforms: Array `(n, NUM_CHANCES, ...)` in [0, 1), without zeros if `normal` is drawn.
            Whatever is drawn has the shape `(n, ...)`.
    """

    def __init__(self, uniforms):
        self._columns = iter(np.ascontiguousarray(np.moveaxis(uniforms, 1, 0)))

    def between(self, low, high):
        """Uniform."""
        return low + (high - low) * next(self._columns)

    def either(self, event, if_true, if_false):
        """Uniform in one of two ranges: apart, so that a threshold between them is visible."""
        return np.where(event, self.between(*if_true), self.between(*if_false))

    def around(self, mean, deviation):
        """Bell-shaped, and bounded: no image is a freak."""
        total = next(self._columns) + next(self._columns) + next(self._columns)
        return mean + deviation * (2.0 * total - 3.0)

    def normal(self, mean, deviation):
        """Normal, and clipped at two deviations."""
        radius = np.sqrt(-2.0 * np.log(next(self._columns)))
        standard = radius * np.cos(2.0 * np.pi * next(self._columns))
        return mean + deviation * np.clip(standard, -2.0, 2.0)

    def event(self, probability):
        """True or false."""
        return next(self._columns) < probability

    def sometimes(self, probability):
        """A strength that is mostly 0 or 1 but passes smoothly from one to the other."""
        return np.clip((probability - next(self._columns)) * 10.0 + 0.5, 0.0, 1.0)
