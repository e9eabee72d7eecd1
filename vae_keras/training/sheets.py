"""After each epoch sheets of images, as PNG files: reconstructions, samples, new ones."""

from vae_keras import VAE
from vae_keras.datasets import storage
from vae_keras.training.checkpoint import REMEDY

RECONSTRUCTIONS = 10  # and samples in a row
SAMPLES = 40
NEW = "new"  # the name of the sheets of the second stage
SEED = 0  # the same codes after each epoch: one sees them change


class Sheets:
    """Draws what a model makes of some images, and of some codes.

    Args:
        vae: The model, wherever its variables live.
        images: Array `(n, height, width, channels)` in [0, 1].
        folder: `Path`.
        devices: `Devices`.

    Raises:
        ImportError: if matplotlib is not installed.
    """

    def __init__(self, vae, images, folder, devices):
        from vae_keras import plots

        self.plots = plots
        self.images = images
        self.folder = folder
        self.devices = devices
        # Other processes need not take part, and no batch has to divide by the devices.
        with devices.local():
            self.twin = VAE.from_config(vae.get_config())

    def draw(self, vae, epoch, loss):
        """Writes the sheets of an epoch.

        Args:
            vae: The model.
            epoch: Integer, counted from 1.
            loss: Float, for the title.
        """
        weights = vae.get_weights()
        with self.devices.local():
            self.twin.set_weights(weights)
            reconstructions = self.twin.reconstruct(self.images)
            samples = self.twin.generate(SAMPLES, seed=SEED)
        title = f"Epoch {epoch}: {loss:.1f} nats"
        rows = {"held out": self.images, "decoded": reconstructions}
        write(self.folder, "reconstructions", epoch, self.plots.image_rows(rows, title))
        samples = self.plots.image_grid(samples, RECONSTRUCTIONS, title)
        write(self.folder, "samples", epoch, samples)


class NewImages:
    """Draws what a model makes of codes that are drawn from a flow.

    Args:
        vae: The model.
        folder: `Path`.

    Raises:
        ImportError: if matplotlib is not installed.
    """

    def __init__(self, vae, folder):
        from vae_keras import plots

        self.plots, self.vae, self.folder = plots, vae, folder

    def draw(self, flow, epoch, loss):
        """Writes the sheet of an epoch, counted from 1; the loss is for the title."""
        images = self.vae.generate(SAMPLES, seed=SEED, sampler=flow)
        title = f"Epoch {epoch} of the second stage: {loss:.3f}"
        grid = self.plots.image_grid(images, RECONSTRUCTIONS, title)
        write(self.folder, NEW, epoch, grid)


def remove_new(folder):
    """Removes the sheets of an earlier flow."""
    for path in folder.glob(f"{NEW}-????.png"):
        path.unlink()


def write(folder, name, epoch, figure):
    """Writes a figure as the sheet of that name and epoch."""
    with storage.atomic_write(folder / f"{name}-{epoch:04d}.png", REMEDY) as file:
        figure.savefig(file, format="png")
