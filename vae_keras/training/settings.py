"""What decides the weights that a training ends with; kept in its checkpoint."""

import dataclasses

from vae_keras.training.recipes import IMAGE_SIZE_STEP, find_recipe, is_own

AS_RECIPE = 0  # the epochs of `--second-stage` without a number
MAY_CHANGE = ("epochs", "second_stage")  # when a training goes on


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of a training, each of the argument of its name.

    Attributes:
        data: The name of a recipe, or the path of images of one's own.
        image_size: `None` where the data has one size, and in a checkpoint from
            before there was a choice.
        code: A kind of code, `"numbers"` or `"map"`.
        second_stage: Integer, the epochs of the second stage; `None` without one.
    """

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
    image_size: int | None = None
    code: str = "numbers"
    second_stage: int | None = None


def resolve(given):
    """Returns the `Settings` of a new training: what was given, else the recipe's.

    Raises:
        ValueError: if settings do not fit the data.
    """
    code = given.code or "numbers"
    recipe = find_recipe(given.data, code)
    _check_image_size(given.image_size, recipe)
    if is_own(given.data) and given.source == "synthetic":
        raise ValueError(
            "Argument --source synthetic draws garments or faces; images of your own are files."
        )
    defaults = {"source": "auto", "seed": 0, "code": code, **vars(recipe)}
    values = {name: getattr(given, name) for name in _names()}
    values["second_stage"] = _flow_epochs(given.second_stage, None, recipe)
    return Settings(
        **{name: defaults.get(name) if value is None else value for name, value in values.items()}
    )


def resume(given, progress):
    """Returns the `Settings` that a training goes on with: the checkpoint's, epochs as given.

    Args:
        given: `argparse.Namespace`; `None` agrees with everything.
        progress: `checkpoint.Progress`.

    Raises:
        ValueError: if another setting differs from the checkpoint's, or if
            more epochs are done than were given. Images of one's own may have
            been moved.
    """
    saved = progress.settings
    if given.data is not None and is_own(given.data) and is_own(saved.data):
        saved = dataclasses.replace(saved, data=given.data)
    epochs = saved.epochs if given.epochs is None else given.epochs
    for name in _names():
        wanted, was = getattr(given, name), getattr(saved, name)
        if name not in MAY_CHANGE and wanted is not None and wanted not in (was, "auto"):
            raise ValueError(
                f"Argument --{name.replace('_', '-')} must be what the checkpoint was trained "
                f"with, {was}, for --resume to go on with it. Received: {wanted}"
            )
    if epochs < progress.epoch:
        raise ValueError(
            f"Argument --epochs must be at least {progress.epoch}, the number of epochs that are "
            f"done, for --resume to go on. Received: {epochs}"
        )
    recipe = find_recipe(saved.data, saved.code)
    second_stage = _flow_epochs(given.second_stage, saved.second_stage, recipe)
    return dataclasses.replace(saved, epochs=epochs, second_stage=second_stage)


def _flow_epochs(wanted, saved, recipe):
    if wanted == AS_RECIPE:
        return saved or recipe.flow_epochs
    return wanted or saved


def _check_image_size(size, recipe):
    if size is None:
        return
    if recipe.image_size is None:
        raise ValueError(
            f"Argument --image-size is for faces and for images of your own: garments have one "
            f"size. Received: {size}"
        )
    if size % IMAGE_SIZE_STEP:
        raise ValueError(
            f"Argument --image-size must be a multiple of {IMAGE_SIZE_STEP}. Received: {size}"
        )


def _names():
    return [field.name for field in dataclasses.fields(Settings)]
