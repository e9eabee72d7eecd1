"""Likelihoods of Fashion-MNIST beside published ones, in nats.

    python benchmarks/published.py                      # all rows, three seeds: for a GPU
    python benchmarks/published.py --rows vae --seeds 0 --corrected-by 600
    python benchmarks/published.py --output runs/published --rows vae vamp   # goes on if stopped
    python benchmarks/published.py --seeds 0 --rows vae "vae, published recipe" --figure curve.png

The setting of Norouzi et al. (2020, "Exemplar VAE", table 2): 50,000 images to
train with, each pixel drawn anew with its grey value as probability at every
step; their fixed draw of the 10,000 test images, and -log p(x) estimated by
importance sampling with 5,000 samples each. With `--corrected-by`, which takes
minutes where that takes half an hour, all images have 64 samples, and what
5,000 do to some of them is taken off. The models are in `published_models.py`.
The other 10,000 training images, from which the published runs chose when to
stop, are looked at for the curve alone: a recipe has its number of epochs.
"vae, published recipe" is trained as theirs, by a constant learning rate in
batches of 100, each variable's gradient divided by its norm, for fewer epochs;
`--figure` draws its bound on these images by seconds beside that of ours. "iwae 1"
is the plain VAE by the recipe of the other two.
"grey" is our own row: each pixel is one of 256 levels, as notebook 01 has it. A
model is saved as it is trained, and a run that was stopped goes on from there.

On a GPU JAX compiles for minutes where several rows run side by side, most of them spent on
trying out how to multiply; the seconds in the README are with
XLA_FLAGS="--xla_gpu_autotune_level=0 --xla_gpu_enable_triton_gemm=false", so that it does not try.
"""

import argparse
import contextlib
import dataclasses
import json
import math
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import published_models as models
from keras import ops

from vae_keras import datasets
from vae_keras.datasets import ImageBatches
from vae_keras.losses import sum_per_example
from vae_keras.optimizers import FusedAdam, warmup_and_cosine
from vae_keras.priors import log_normal
from vae_keras.training import checkpoint

SECONDS_UNSAVED = 60
CODES_AT_ONCE = 2**15
EPOCHS_UNSEEN = 10  # between two looks at the validation images
FEW_SAMPLES = 64


@dataclasses.dataclass(frozen=True)
class Row:
    """A model, how it is trained, and what is published.

    Attributes:
        make: Function of a seed and the training images that returns the VAE.
        epochs: Integer.
        published: String, nats and for what.
        batch_size: Integer.
        peak: Float, the highest learning rate.
        schedule: Function of it and of the number of steps that returns the rate.
        adam: Dict, further arguments of `FusedAdam`.
        beta_epochs: Integer, in which beta rises to 1.
        grey: Boolean. Whether a pixel is one of 256 levels, and not on or off.
    """

    make: Callable
    epochs: int
    published: str = ""
    batch_size: int = 500
    peak: float = 2e-3
    schedule: Callable = warmup_and_cosine
    adam: dict = dataclasses.field(default_factory=dict)
    beta_epochs: int = 60
    grey: bool = False


def constant(peak, steps):
    return peak


def to_one_percent(peak, steps):
    """A rate that rises over a tenth of the steps and falls along a cosine, further than ours."""
    warmup = max(1, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        0.05 * peak, max(1, steps - warmup), 0.01, warmup_target=peak, warmup_steps=warmup
    )


def importance_weighted(num_samples):
    make = models.importance_weighted(num_samples)
    return Row(make, 100, batch_size=100, peak=1e-3, beta_epochs=15)


ROWS = {
    "vae": Row(models.plain, 500, "228.70 ± 0.15", schedule=to_one_percent),
    "vae, published recipe": Row(
        models.as_published,
        300,
        batch_size=100,
        peak=5e-4,
        schedule=constant,
        # Every gradient has a longer one: all are cut to this norm, and Adam's epsilon with them.
        adam={"clipnorm": 1e-2, "epsilon": 1e-10},
        beta_epochs=100,
    ),
    "vae, residual": Row(models.wide, 150, "", beta_epochs=50),
    "vamp": Row(models.vamp, 500, "227.35", schedule=to_one_percent, beta_epochs=100),
    "mixture": Row(models.mixture, 300, "", schedule=to_one_percent),
    "vamp, residual": Row(models.wide_vamp, 150, "", beta_epochs=50),
    "two levels": Row(models.hierarchical, 500, "227.37", schedule=to_one_percent, beta_epochs=100),
    "two levels, vamp": Row(
        models.hierarchical_vamp, 500, schedule=to_one_percent, beta_epochs=100
    ),
    "two levels, convolutional": Row(models.convolutional, 150, "225.38", schedule=to_one_percent),
    "two levels, convolutional, vamp": Row(
        models.convolutional_vamp, 150, "224.67", schedule=to_one_percent
    ),
    "iwae 1": importance_weighted(1),
    "iwae 5": importance_weighted(5),
    "iwae 50": importance_weighted(50),
    "grey": Row(models.grey, 60, peak=1e-3, beta_epochs=10, grey=True),
}


@dataclasses.dataclass
class Progress:
    """How far a training has come, kept beside the model.

    Attributes:
        seed: Integer.
        recipe: String, all of the row but its model.
        history: List of dicts, the logs of each epoch, with the seconds so far.
    """

    seed: int
    recipe: str = ""
    history: list = dataclasses.field(default_factory=list)

    @property
    def seconds(self):
        return self.history[-1]["seconds"] if self.history else 0.0


def load(count):
    """Returns grey images to train, to validate and to test with, and these in black and white.

    The draw is that of the published numbers: another one was 0.14 nats worse, for all models.
    """
    (x_train, _), (x_test, _) = datasets.load_fashion_mnist()
    x_train, x_validate = x_train[:-10_000], x_train[-10_000:]
    draws = np.random.RandomState(777)
    for images in (x_validate, x_test):
        drawn = draws.binomial(1, np.rint(255 * images.astype("float64")) / 255)
    return x_train[:count], x_validate[:count], x_test[:count], drawn[:count].astype("float32")


class Course(keras.callbacks.Callback):
    """Raises beta, keeps the history, and saves the model now and then."""

    def __init__(self, row, progress, path, batches, validation):
        super().__init__()
        self.row, self.progress, self.path = row, progress, path
        self.batches, self.validation = batches, validation
        self.before, self.saved = progress.seconds, time.monotonic()

    def on_train_begin(self, logs=None):
        self.start = time.perf_counter()

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.set_epoch(epoch)
        self.model.beta = min(1.0, (epoch + 1) / self.row.beta_epochs)

    def on_epoch_end(self, epoch, logs=None):
        seconds = self.before + time.perf_counter() - self.start
        logs = {name: float(value) for name, value in logs.items()}
        is_last = epoch + 1 == self.row.epochs
        if is_last or (epoch + 1) % EPOCHS_UNSEEN == 0:
            logs["validation"] = self._validate()
        self.progress.history.append({"epoch": epoch + 1, "seconds": seconds, **logs})
        if is_last or time.monotonic() - self.saved > SECONDS_UNSAVED:
            checkpoint.save(self.model, self.path, self.progress)
            self.saved = time.monotonic()
        # What is looked at and saved is not training.
        self.start += time.perf_counter() - self.start + self.before - seconds

    def _validate(self):
        beta, self.model.beta = self.model.beta, 1.0
        result = self.model.evaluate(self.validation, batch_size=500, verbose=0, return_dict=True)
        self.model.beta = beta
        return result["loss"]


def read(path):
    """Returns the model and its `Progress` from a checkpoint."""
    with zipfile.ZipFile(path) as archive:
        progress = Progress(**json.loads(archive.read(checkpoint.ENTRY)))
    return checkpoint.load_whole(path, str(path)), progress


def train(row, seed, path, images, validation):
    """Trains a row's model to its end, from where it was left; returns it and its `Progress`."""
    keras.utils.set_random_seed(seed)
    recipe = str({**vars(row), "make": row.make.__name__, "schedule": row.schedule.__name__})
    if checkpoint.is_whole(path):
        vae, progress = read(path)
        if progress.recipe not in ("", recipe):
            raise SystemExit(f"{path} was trained by another recipe: give another `--output`.")
    else:
        vae, progress = row.make(seed, images), Progress(seed, recipe)
        steps = row.epochs * (len(images) // row.batch_size)
        vae.compile(FusedAdam(row.schedule(row.peak, steps), **row.adam))
    done = len(progress.history)
    if done < row.epochs:
        eight_bit = np.rint(255 * images).astype("uint8")
        batches = ImageBatches(eight_bit, batch_size=row.batch_size, shuffle=True, seed=seed)
        course = Course(row, progress, path, batches, validation)
        options = {"shuffle": False, "verbose": 0}  # the batches have their order
        with in_full_float32():
            vae.fit(batches, initial_epoch=done, epochs=row.epochs, callbacks=[course], **options)
    return vae, progress


class LogWeights(keras.Model):
    """`log mean_k p(x|z_k) p(z_k) / q(z_k|x)` of as many samples as one batch holds."""

    def __init__(self, vae, num_samples):
        super().__init__()
        self.vae, self.num_samples = vae, num_samples

    def call(self, x):
        repeated = ops.repeat(x, self.num_samples, axis=0)
        parameters, z_mean, z_log_var, z = models.samples_of(self.vae, x, self.num_samples)
        log_q = sum_per_example(log_normal(z, z_mean, z_log_var))
        log_weights = self.vae.likelihood(repeated, parameters) + self.vae.prior.log_prob(z) - log_q
        log_weights = ops.reshape(log_weights, (-1, self.num_samples))
        return ops.logsumexp(log_weights, axis=1) - math.log(self.num_samples)


def in_full_float32():
    """Returns a context in which JAX rounds no factor of a matrix product, as it does on a GPU."""
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.default_matmul_precision("highest")


def log_likelihood(vae, x, num_samples, at_once=250):
    """Returns the estimate of `log p(x)` of each image, `(n,)`, in nats."""
    rounds = math.ceil(num_samples / at_once)
    weights = LogWeights(vae, math.ceil(num_samples / rounds))
    batch = max(1, CODES_AT_ONCE // weights.num_samples)
    with in_full_float32():
        drawn = [weights.predict(x, batch_size=batch, verbose=0) for _ in range(rounds)]
    return np.logaddexp.reduce(np.asarray(drawn, "float64"), axis=0) - math.log(rounds)


def estimate(vae, x, arguments):
    """Returns the mean of `-log p(x)`, in nats, and its standard error over the images."""
    few = FEW_SAMPLES if arguments.corrected_by else arguments.samples
    values = [log_likelihood(vae, x, few)]
    if arguments.corrected_by:
        some = x[: arguments.corrected_by]
        values.append(log_likelihood(vae, some, arguments.samples) - values[0][: len(some)])
    squared_errors = [part.var(ddof=1) / len(part) for part in values]
    return -float(sum(part.mean() for part in values)), math.sqrt(sum(squared_errors))


def in_float32(vae, row, seed, images):
    """Returns a model of the same weights that computes in float32, to be measured."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    same = row.make(seed, images)
    same.build((None, *models.IMAGE_SHAPE))
    same.set_weights(vae.get_weights())
    keras.config.set_dtype_policy(policy)
    return same


def measure(name, row, seed, arguments, data):
    """Trains and evaluates one model; returns what is kept of it."""
    images, validation, *tests = data
    test = tests[0] if row.grey else tests[1]
    path = Path(arguments.output) / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}.keras"
    vae, progress = train(row, seed, path, images, validation)
    precision = vae.compute_dtype
    if precision != "float32":
        vae = in_float32(vae, row, seed, images)
    start = time.perf_counter()
    nats, error = estimate(vae, test[: arguments.test_images], arguments)
    result = {
        "row": name,
        "seed": seed,
        "nats": nats,
        "error": error,
        "seconds": progress.seconds,
        "epochs": len(progress.history),
        "precision": precision,
        "evaluation": time.perf_counter() - start,
        "history": progress.history,
    }
    path.with_suffix(".json").write_text(json.dumps(result))
    bits = result["nats"] / math.log(2) / math.prod(models.IMAGE_SHAPE)
    print(
        f"{name}, seed {seed}: {result['nats']:.2f} nats (± {result['error']:.2f} over images), "
        f"{bits:.3f} bits per pixel, {result['epochs']} epochs, {result['seconds']:.0f} s",
        flush=True,
    )
    return result


def report(results):
    """Prints a line for each row: mean over the seeds, and their standard error."""
    print(f"\n{'-log p(x), nats':<30}{'here':>16}{'published':>16}{'epochs':>8}{'seconds':>9}")
    for name, row in ROWS.items():
        some = [result for result in results if result["row"] == name]
        if not some:
            continue
        nats = np.array([result["nats"] for result in some])
        error = nats.std(ddof=1) / math.sqrt(len(nats)) if len(nats) > 1 else math.nan
        seconds = np.median([result["seconds"] for result in some])
        here = f"{nats.mean():.2f} ± {error:.2f}"
        print(f"{name:<30}{here:>16}{row.published:>16}{row.epochs:>8}{seconds:>9.0f}")


def curves(results):
    """Returns a figure: the bound on validation images by the seconds of training, for each row."""
    from vae_keras import plots

    lines = {}
    for result in results:
        seen = [logs for logs in result["history"] if "validation" in logs]
        points = [(logs["seconds"], logs["validation"]) for logs in seen]
        lines[f"{result['row']}, seed {result['seed']}"] = np.transpose(points)
    title = "The bound on validation images by the seconds of training"
    figure = plots.curve_panels({"": lines}, "seconds", "negative ELBO, nats", title)
    figure.set_size_inches(6.4, 3.8)
    least = min(nats.min() for _, nats in lines.values())
    figure.axes[0].set_ylim(least - 0.5, least + 10)  # where they part
    return figure


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="of each row, for a short run")
    parser.add_argument("--images", type=int, help="of each split, for a short run")
    parser.add_argument("--test-images", type=int, help="how many of them are evaluated")
    parser.add_argument("--samples", type=int, default=5000, help="for each test image")
    parser.add_argument(
        "--corrected-by",
        type=int,
        metavar="N",
        help=f"all images with {FEW_SAMPLES} samples, and what more do to the first N of them",
    )
    parser.add_argument("--mixed-precision", action="store_true", help="train in bfloat16")
    parser.add_argument("--output", default="runs/published", help="folder of the models")
    parser.add_argument("--figure", help="file of a picture: nats by seconds of each training")
    return parser.parse_args()


def main():
    arguments = parse()
    Path(arguments.output).mkdir(parents=True, exist_ok=True)
    if arguments.mixed_precision:
        keras.config.set_dtype_policy("mixed_bfloat16")
    data = load(arguments.images)
    results = []
    for name in arguments.rows:
        row = ROWS[name]
        if arguments.epochs:
            beta_epochs = math.ceil(row.beta_epochs * arguments.epochs / row.epochs)
            row = dataclasses.replace(row, epochs=arguments.epochs, beta_epochs=beta_epochs)
        results += [measure(name, row, seed, arguments, data) for seed in arguments.seeds]
    report(results)
    if arguments.figure:
        curves(results).savefig(arguments.figure, bbox_inches="tight")


if __name__ == "__main__":
    main()
