"""After each epoch a sheet of reconstructions and one of samples, as PNG files."""

from vae_keras import VAE
from vae_keras.datasets import storage
from vae_keras.training.checkpoint import REMEDY

RECONSTRUCTIONS = 10  # and samples in a row
SAMPLES = 40
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
        self._write("reconstructions", epoch, self.plots.image_rows(rows, title))
        self._write("samples", epoch, self.plots.image_grid(samples, RECONSTRUCTIONS, title))

    def _write(self, name, epoch, figure):
        with storage.atomic_write(self.folder / f"{name}-{epoch:04d}.png", REMEDY) as file:
            figure.savefig(file, format="png")
