"""A training that one sees: a live curve, and the curve that it leaves behind."""

import sys
import time

import keras
import numpy as np
from matplotlib.ticker import MaxNLocator

from vae_keras.plots.style import COLORS, new_figure

POINTS = 60  # of an epoch's curve, at most
EVERY = 3.0  # seconds between two pictures, at least
SHARE = 0.05  # of the time, at most, is spent on pictures: one takes half a second or more
TITLES = {"loss": "loss", "reconstruction_loss": "reconstruction", "kl_loss": "KL divergence"}
VALIDATION = "val_"


class TrainingCurve(keras.callbacks.Callback):
    """Draws loss, reconstruction and KL divergence while `fit` goes on.

    In a notebook the picture grows as the training does, and stays; elsewhere
    nothing is drawn until `figure()` is asked for. Each point is the mean of the
    steps since the last one, dots are the validation after an epoch.

    Args:
        title: String, what is trained.
        unit: String, of the vertical axes.

    Example:

    >>> vae.fit(x, epochs=3, verbose=0, callbacks=[plots.TrainingCurve("the VAE")])
    """

    def __init__(self, title="Training", unit="nats per image"):
        super().__init__()
        self.title = title
        self.unit = unit

    def on_train_begin(self, logs=None):
        self.points = {}  # name to [(epochs done, value)]
        self.handle = None
        self.begun = time.perf_counter()
        self.next_picture = self.begun + EVERY

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.seen = {}  # name to (steps, their sum)
        self.every = max(1, (self.params.get("steps") or POINTS) // POINTS)
        self.next = self.every

    def on_train_batch_end(self, batch, logs=None):
        steps = batch + 1
        if steps < self.next or not self.params.get("steps"):
            return
        self.next = steps + self.every
        for name, mean in (logs or {}).items():
            before, total = self.seen.get(name, (0, 0.0))
            value = (steps * mean - total) / (steps - before)
            self.seen[name] = steps, steps * mean
            done = self.epoch + (steps + before) / 2 / self.params["steps"]
            self.points.setdefault(name, []).append((done, value))
        if time.perf_counter() > self.next_picture:
            self._draw()

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            if name.startswith(VALIDATION) or name not in self.seen:
                self.points.setdefault(name, []).append((epoch + 1, value))

    def on_train_end(self, logs=None):
        self._draw()

    def figure(self):
        """Returns the curves so far."""
        names = [name for name in self.points if not name.startswith(VALIDATION)]
        if "kl_loss" not in names:  # then the reconstruction is the whole loss
            names = [name for name in names if name != "reconstruction_loss"]
        names.sort(key=lambda name: list(TITLES).index(name) if name in TITLES else len(TITLES))
        figure, axes = new_figure(
            1, max(1, len(names)), figsize=(3.1 * max(1, len(names)), 2.7), squeeze=False
        )
        for ax, name in zip(axes[0], names, strict=False):
            self._draw_one(ax, name)
        seconds = time.perf_counter() - self.begun
        figure.suptitle(f"{self.title}: {self.epoch + 1} epochs, {seconds:.0f} seconds")
        return figure

    def _draw_one(self, ax, name):
        done, values = np.transpose(self.points[name])
        ax.plot(done, values, color=COLORS[0], linewidth=1.5)
        validation = self.points.get(VALIDATION + name)
        if validation:
            ax.plot(*np.transpose(validation), "o", color=COLORS[2], label="validation")
            ax.legend()
        # The first steps are far above the rest, and would leave no room for it.
        low, high = min(values), max(values[len(values) // 20 :])
        if high > low:
            ax.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
        last = f"{values[-1]:,.1f}" if abs(values[-1]) >= 10 else f"{values[-1]:.3g}"
        ax.set(title=f"{TITLES.get(name, name)} ends at {last}", xlabel="epochs")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_ylabel(self.unit if name in TITLES else "")
        ax.grid(alpha=0.3)

    def _draw(self):
        begun = time.perf_counter()
        self._display()
        now = time.perf_counter()
        self.next_picture = now + max(EVERY, (now - begun) / SHARE)

    def _display(self):
        if "IPython" not in sys.modules or sys.modules["IPython"].get_ipython() is None:
            return
        from IPython.display import display

        if self.handle is None:
            self.handle = display(self.figure(), display_id=True)
        else:
            self.handle.update(self.figure())
