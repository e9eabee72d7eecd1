"""What a run's folder says about itself: the settings, and how to load the model and go on."""

import dataclasses
import json

import keras

from vae_keras.datasets import storage
from vae_keras.training.checkpoint import REMEDY
from vae_keras.version import __version__

README, SETTINGS = "README.md", "settings.json"
PROGRAM = "python -m vae_keras.train"
# How the files begin: another of that name is somebody else's.
README_MARK = f"<!-- Written by {PROGRAM}, anew whenever the training goes on. -->\n"
SETTINGS_MARK = f'{{\n  "program": "{PROGRAM}"'

TEXT = """# A variational autoencoder

Trained by `{program}` (vae_keras {version}, Keras {keras} on {backend}) on {count:,} {source}
images of {height} by {width} pixels, {channels}: {data}. All settings are in `settings.json`.

- `best.keras` is the model after the epoch with the lowest loss on the images held out,
  `last.keras` after the last one, with all that the training needs to go on;
- `history.csv` has the losses of each epoch, in nats per image;
- `sheets/` shows, epoch by epoch, held-out images as they are decoded, and new ones{second}.

Load the model, in this folder:

```python
import keras
import vae_keras  # it knows the classes in the file

vae = keras.saving.load_model("best.keras")
images = vae.generate(16)  # new ones: {shape} each, in [0, 1]
codes = vae.encode(images)  # of any such images: {code} each
decoded = vae.decode(codes)
{draw}```

Go on with the training, where it was stopped or to another number of epochs:

```sh
KERAS_BACKEND={backend} {program} --resume --output .
KERAS_BACKEND={backend} {program} --resume --epochs {more} --output .
```
"""
SECOND = """;
- `flow.keras` is the second stage, which has learned how the codes of `best.keras` are distributed,
  `second-stage.csv` its loss after each of {epochs} epochs: the mean squared error of a velocity;
  `sheets/new-*.png` shows images that the two make"""
DRAW = """
flow = keras.saving.load_model("flow.keras")
images = vae.generate(16, sampler=flow)  # new ones, whose codes are like those of real ones
"""


class Description(keras.callbacks.Callback):
    """Writes `README.md` and `settings.json` when a training begins or goes on.

    Args:
        output: `Path` of the folder.
        settings: `Settings`.
        image_shape: Tuple `(height, width, channels)`.
        count: Integer, how many images are learned.
    """

    def __init__(self, output, settings, image_shape, count):
        super().__init__()
        self.output = output
        self.settings = settings
        self.image_shape = image_shape
        self.count = count

    def on_train_begin(self, logs=None):
        _write(self.output / SETTINGS, self._settings(), SETTINGS_MARK)
        _write(self.output / README, self._readme(), README_MARK)

    def _settings(self):
        versions = {"vae_keras": __version__, "keras": keras.version()}
        values = {
            "program": PROGRAM,
            **versions,
            "backend": keras.backend.backend(),
            **dataclasses.asdict(self.settings),
        }
        return json.dumps(values, indent=2) + "\n"

    def _readme(self):
        height, width, channels = self.image_shape
        epochs = self.settings.second_stage
        return README_MARK + TEXT.format(
            program=PROGRAM,
            version=__version__,
            keras=keras.version(),
            backend=keras.backend.backend(),
            count=self.count,
            source=self.settings.source,
            data=self.settings.data,
            height=height,
            width=width,
            channels="grey" if channels == 1 else "in colour",
            shape=self.image_shape,
            code=self.model.code_shape,
            second=SECOND.format(epochs=epochs) if epochs else "",
            draw=DRAW if epochs else "",
            more=2 * self.settings.epochs,
        )


def _write(path, text, mark):
    """Writes a file, unless there is one of that name that a training has not written."""
    # Names of files need not be text.
    content, mark = (part.encode("utf-8", "surrogateescape") for part in (text, mark))
    is_ours = path.is_file() and path.read_bytes().startswith(mark)
    if path.exists() and not is_ours:
        print(f"{path} is of something else, and is left as it is.", flush=True)
        return
    with storage.atomic_write(path, REMEDY) as file:
        file.write(content)
