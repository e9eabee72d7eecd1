"""What decides the weights that a training ends with; kept in its checkpoint."""

import dataclasses

from vae_keras.training.recipes import RECIPES


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of a training, each of the argument of its name."""

    data: str
    source: str
    max_images: int | None
    epochs: int
    batch_size: int
    latent_dim: int
    beta: float
    likelihood: str
    mixed_precision: str | None
    seed: int


def resolve(given):
    """Returns the `Settings` of a new training: what was given, else the recipe's."""
    recipe = RECIPES[given.data]
    defaults = {"source": "auto", "beta": 1.0, "seed": 0, **vars(recipe)}
    values = {name: getattr(given, name) for name in _names()}
    return Settings(
        **{name: defaults.get(name) if value is None else value for name, value in values.items()}
    )


def resume(given, progress):
    """Returns the `Settings` that a training goes on with: the checkpoint's, `epochs` as given.

    Args:
        given: `argparse.Namespace`; `None` agrees with everything.
        progress: `checkpoint.Progress`.

    Raises:
        ValueError: if another setting differs from the checkpoint's, or if
            more epochs are done than were given.
    """
    saved = progress.settings
    epochs = saved.epochs if given.epochs is None else given.epochs
    for name in _names():
        wanted, was = getattr(given, name), getattr(saved, name)
        if name != "epochs" and wanted is not None and wanted not in (was, "auto"):
            raise ValueError(
                f"Argument --{name.replace('_', '-')} must be what the checkpoint was trained "
                f"with, {was}, for --resume to go on with it. Received: {wanted}"
            )
    if epochs < progress.epoch:
        raise ValueError(
            f"Argument --epochs must be at least {progress.epoch}, the number of epochs that are "
            f"done, for --resume to go on. Received: {epochs}"
        )
    return dataclasses.replace(saved, epochs=epochs)


def _names():
    return [field.name for field in dataclasses.fields(Settings)]
