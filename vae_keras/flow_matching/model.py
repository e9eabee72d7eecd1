"""The flow as a Keras model: its training, its samples and its density."""

import types

import keras
import numpy as np
from keras import ops

from vae_keras.checks import as_array, check_own_loss, check_weights, is_array
from vae_keras.flow_matching import checks
from vae_keras.flow_matching.network import make_field
from vae_keras.flow_matching.solver import Density, Solver, directions_of_divergence
from vae_keras.losses import in_full_precision, sum_per_example
from vae_keras.priors import log_normal
from vae_keras.sampling import KeepsNoise
from vae_keras.watch import explained, watched

EXACT_UP_TO = 16  # numbers in a code: the divergence of a longer one is estimated
BATCH = 1024  # codes drawn at a time


@keras.saving.register_keras_serializable(package="vae_keras")
class FlowMatching(KeepsNoise, keras.Model):
    """A distribution of codes that is learned from codes (Lipman et al., 2023).

    A point that moves from noise at time 0 to a code at time 1 on a straight
    line, `z_t = (1 - t) * noise + t * code`, has the velocity `code - noise`.
    A network learns the mean velocity at each place and time; following it
    carries `N(0, I)` to the distribution of the codes (rectified flow: Liu et
    al., 2023). Training minimizes the mean squared error of the velocity, at
    times whose logit is a normal number (Esser et al., 2024).

    It is a sampler for `VAE.generate` and, by `log_prob`, a prior that
    `vae_keras.evaluation` can measure. Codes are standardized inside, each
    number by its own mean and standard deviation over the codes of the first
    `fit`; `adapt` takes them for a stream.

    Args:
        code_shape: Tuple of integers, the shape of one code.
        num_classes: Integer, optional: the condition of a code is a class, an
            integer in `[0, num_classes)`.
        condition_dim: Integer, optional: the condition of a code is a vector
            of that length, of attributes say.
        condition_dropout: Float >= 0 and < 1, the share of codes that are
            trained on without their condition, for sampling without one and
            for guidance.
        units: Integer, the width of the network.
        num_blocks: Integer, its number of residual blocks.
        seed: Integer, optional random seed of the training.

    Call arguments:
        x: Tensor `(batch, *code_shape)`, the codes; or a pair of them and
            their conditions, `(batch,)` or `(batch, condition_dim)`.

    Returns:
        `(velocity, target)`, tensors `(batch, *code_shape)`: what the network
        says at a random time of each path, and what is right for that path.

    Raises:
        ValueError: if the settings do not fit each other.

    Example:

    >>> flow = FlowMatching(code_shape=(64,))
    >>> flow.compile(keras.optimizers.Adam(1e-3))
    >>> flow.fit(vae.encode(x_train), epochs=8, batch_size=256)
    >>> images = vae.generate(16, sampler=flow)
    """

    loss_names = ("loss",)

    def __init__(
        self,
        code_shape,
        num_classes=None,
        condition_dim=None,
        condition_dropout=0.1,
        units=384,
        num_blocks=4,
        seed=None,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)  # classes and codes keep all their digits
        checks.check_settings(num_classes, condition_dim, condition_dropout)
        self.code_shape = tuple(code_shape)
        self.num_classes, self.condition_dim = num_classes, condition_dim
        self.condition_dropout = condition_dropout
        self.units, self.num_blocks, self.seed = units, num_blocks, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        constant = {"trainable": False, "dtype": "float32", "autocast": False}
        self.mean = self.add_weight(self.code_shape, "zeros", name="mean", **constant)
        self.scale = self.add_weight(self.code_shape, "ones", name="scale", **constant)
        self.num_codes = self.add_weight((), "zeros", name="num_codes", **constant)
        self.field = make_field(
            self.code_shape, self._condition_size, units, num_blocks, self.dtype_policy
        )
        self._untracked = types.SimpleNamespace(loops={})  # compiled ones, without weights
        self.built = True

    @property
    def _condition_size(self):
        size = self.num_classes or self.condition_dim
        return size + 1 if size else 0  # the last number says that there is a condition

    # Training

    def adapt(self, codes):
        """Takes the mean and the standard deviation of each number from codes.

        Args:
            codes: Array `(n, *code_shape)`.

        Raises:
            ValueError: if the codes are of another shape, NaN or infinite,
                fewer than two, or all the same.
        """
        codes = checks.check_codes(codes, self.code_shape)
        self.scale.assign(checks.spread(codes))
        self.mean.assign(np.mean(codes, axis=0, dtype="float64"))
        self.num_codes.assign(float(len(codes)))

    def fit(self, x=None, y=None, **kwargs):
        """Trains on codes.

        Args:
            x: Array `(n, *code_shape)`; or a pair of it and the conditions,
                where there are any; or, after `adapt`, a stream of batches:
                `(codes,)` or `((codes, conditions),)`, as Keras takes the
                second of a pair for a target.
            y: `None`: a flow's target is the codes.
            **kwargs: Those of `keras.Model.fit`.

        Returns:
            A `keras.callbacks.History`.

        Raises:
            ValueError: as `adapt` does, or if the conditions of an array are
                not those that the flow was made for; those of a stream are
                not looked at.
            FloatingPointError: if the loss ceases to be finite; the weights are
                then those of the end of the last epoch again.
        """
        if y is not None:
            raise ValueError("Argument `y` must be None: conditions are the second part of `x`.")
        check_own_loss(self)
        if kwargs.get("class_weight") is not None:
            raise ValueError("Argument `class_weight` must be None; `sample_weight` weighs codes.")
        if is_array(x) or isinstance(x, (tuple, list)):
            x = self._checked(x)
            if not float(ops.convert_to_numpy(self.num_codes)):
                self.adapt(x[0] if self._condition_size else x)
            y = self._targets(x, kwargs.get("sample_weight"))
        elif not float(ops.convert_to_numpy(self.num_codes)):
            raise ValueError("Call `adapt` on an array of codes before `fit` on a stream.")
        if isinstance(kwargs.get("validation_data"), (tuple, list)):
            held_out, *rest = kwargs["validation_data"]
            held_out = self._checked(held_out)
            if len(rest) == 2:
                rest[0] = self._targets(held_out, rest[1])
            kwargs["validation_data"] = (held_out, *rest)
        callbacks = watched(kwargs.pop("callbacks", None))
        with explained(self, callbacks):
            return super().fit(x, y, callbacks=callbacks, **kwargs)

    def evaluate(self, x=None, y=None, **kwargs):
        """Returns the loss on codes, as `fit` takes them; raises where it is not finite."""
        if is_array(x) or isinstance(x, (tuple, list)):
            x = self._checked(x)
            y = self._targets(x, kwargs.get("sample_weight"))
        callbacks = watched(kwargs.pop("callbacks", None))
        with explained(self, callbacks):
            return super().evaluate(x, y, callbacks=callbacks, **kwargs)

    def _targets(self, x, sample_weight):
        """Returns what nothing is compared with: Keras drops weights that come without targets."""
        check_weights(sample_weight)
        codes = x[0] if self._condition_size else x
        return None if sample_weight is None else np.zeros(len(codes), "float32")

    def _checked(self, x):
        codes, condition = checks.split(x)
        codes = checks.check_codes(codes, self.code_shape)
        if condition is None:
            self._check_has_condition(condition)
            return codes
        return [codes, self._check(condition, len(codes))]

    def _check_has_condition(self, condition):
        if self._condition_size and condition is None:
            raise ValueError("This flow is trained on a pair: codes and conditions.")

    def call(self, x, training=None):
        codes, condition = checks.split(x)
        self._check_has_condition(condition)
        codes = self._standardized(in_full_precision(codes))
        batch, random = ops.shape(codes)[0], {"dtype": "float32", "seed": self.seed_generator}
        noise = self._varying(keras.random.normal(ops.shape(codes), **random))
        t = ops.sigmoid(keras.random.normal((batch,), **random))
        inputs = []
        if self._condition_size:
            inputs = [self._as_input(condition)]
            if training:
                drawn = keras.random.uniform((batch, 1), **random)
                inputs[0] *= ops.cast(drawn >= self.condition_dropout, "float32")
        at = ops.reshape(t, (-1, *[1] * len(self.code_shape)))
        z = (1.0 - at) * noise + at * codes
        return in_full_precision(self.field([z, t, *inputs], training=training)), codes - noise

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        velocity, target = y_pred
        size = np.prod(self.code_shape)
        loss = sum_per_example(ops.square(velocity - target)) / size
        if sample_weight is not None:
            loss *= ops.cast(ops.reshape(sample_weight, (-1,)), loss.dtype)
        return ops.mean(loss)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Computes the metrics of `compile`, between the velocity that is right and the network's.

        Args:
            x: Not used.
            y: Not used: a flow's target is in `y_pred`.
            y_pred: What `call` returns.
            sample_weight: Tensor `(batch,)`, or `None`.
        """
        velocity, target = y_pred
        return super().compute_metrics(x, target, velocity, sample_weight)

    # Samples

    def sample(self, n, seed=None, num_steps=16, condition=None, guidance=1.0):
        """Draws codes: follows the flow from noise.

        Args:
            n: Integer, how many.
            seed: Integer, optional random seed. The noise is the same on every
                backend.
            num_steps: Integer >= 1, the steps from noise to codes. Each, of
                Heun's method, asks the network twice.
            condition: Array `(n,)` of classes or `(n, condition_dim)`, or one
                condition for all. Without one the codes are drawn from all.
            guidance: Float. At 1 a condition is followed as it was learned; at
                `g` the velocity is `g` times as far from the one without a
                condition (Ho & Salimans, 2022): more of what was asked for,
                less variety.

        Returns:
            NumPy array `(n, *code_shape)`, float32.

        Raises:
            ValueError: if `num_steps < 1`, a condition is not one that the flow
                was made for, or it was trained without dropping conditions
                where one is left out now.
        """
        if n < 0:
            raise ValueError(f"Argument `n` must be >= 0. Received: n={n}")
        noise = np.random.default_rng(seed).standard_normal((n, *self.code_shape))
        return self.from_noise(noise, num_steps, condition, guidance)

    def from_noise(self, noise, num_steps=16, condition=None, guidance=1.0):
        """Follows the flow from noise, `(n, *code_shape)`, to codes; the rest as in `sample`."""
        noise = checks.check_codes(noise, self.code_shape)
        noise = ops.convert_to_numpy(self._varying(noise))
        z = self._follow(noise, num_steps, condition, guidance, backward=False)
        return ops.convert_to_numpy(self.mean) + ops.convert_to_numpy(self.scale) * z

    def to_noise(self, codes, num_steps=16, condition=None, guidance=1.0):
        """Follows the flow from codes back to the noise that `from_noise` makes them from."""
        codes = checks.check_codes(codes, self.code_shape)
        z = ops.convert_to_numpy(self._varying(self._standardized(codes)))
        return self._follow(z, num_steps, condition, guidance, backward=True)

    def _follow(self, z, num_steps, condition, guidance, backward):
        _check_num_steps(num_steps)
        rest = self._inputs(condition, len(z), guidance)
        if len(z) == 0:
            return z
        return _predict(self._loop(Solver, num_steps, backward), [z, *rest])

    def velocity(self, z, t, condition=None):
        """Returns the velocity at places `z` and a time.

        Args:
            z: Array `(n, *code_shape)`, standardized.
            t: Float, 0 for noise to 1 for codes.
            condition: As in `sample`.

        Returns:
            NumPy array `(n, *code_shape)`, float32.
        """
        z = checks.check_codes(z, self.code_shape)
        times = np.full(len(z), t, "float32")
        rest = self._inputs(condition, len(z))
        if len(z) == 0:
            return z
        return _predict(self.field, [z, times, *rest])

    def log_prob(self, z, num_steps=32, seed=0):
        """Computes the log-density of codes by the change of variables (Chen et al., 2018).

        Followed backward, a code ends in noise, whose density is known; on the
        way the log-density changes by the integral of the divergence of the
        velocity. For codes of up to 16 numbers the divergence is exact; for
        longer ones it is estimated along a random direction for each code
        (Grathwohl et al., 2019). With conditions it is the density that the
        flow has without one. As the prior of a VAE, train it on draws from the
        posteriors, which is where the bound asks for it, not on their means.

        Args:
            z: Array or tensor `(n, *code_shape)`.
            num_steps: Integer >= 1.
            seed: Integer, of the random directions.

        Returns:
            Tensor `(n,)`, in nats. Numbers that never varied count nothing.

        Raises:
            ValueError: if the codes are of another shape, NaN or infinite,
                `num_steps < 1`, or this is asked for in a compiled step.
        """
        _check_num_steps(num_steps)
        z = checks.check_codes(_not_traced(z), self.code_shape)
        rest = self._inputs(None, len(z))
        if len(z) == 0:
            return ops.zeros((0,))
        directions = directions_of_divergence(len(z), self.code_shape, EXACT_UP_TO, seed)
        inputs = [self._varying(self._standardized(z)), self._varying(directions), *rest]
        density = self._loop(Density, num_steps)
        inputs = [ops.convert_to_numpy(part) for part in inputs]
        noise, change = _predict(density, inputs)
        log_noise = self._varying(log_normal(noise, np.zeros_like(noise), np.zeros_like(noise)))
        return sum_per_example(log_noise) + change - ops.sum(ops.log(self._unit()))

    def _loop(self, kind, *arguments):
        loops, key = self._untracked.loops, (kind, *arguments)
        if key not in loops:
            loops[key] = kind(self.field, *arguments)
        return loops[key]

    # Codes and conditions inside

    def _unit(self):
        scale = ops.convert_to_tensor(self.scale)
        return ops.where(scale > 0.0, scale, 1.0)

    def _standardized(self, codes):
        return (codes - self.mean) / self._unit()

    def _varying(self, z):
        """Sets numbers to 0 that never vary: they stand still all the way."""
        return ops.where(ops.convert_to_tensor(self.scale) > 0.0, z, 0.0)

    def _check(self, condition, n):
        return checks.check_condition(condition, n, self.num_classes, self.condition_dim)

    def _as_input(self, condition):
        condition = ops.cast(condition, "float32")
        if self.num_classes:
            condition = ops.one_hot(ops.cast(condition, "int32"), self.num_classes)
        return ops.concatenate([condition, ops.ones_like(condition[:, :1])], axis=1)

    def _empty(self, n):
        return [ops.zeros((n, self._condition_size))] if self._condition_size else []

    def _inputs(self, condition, n, guidance=1.0):
        """Returns what a `Solver` takes besides `z`."""
        is_guided = guidance != 1.0
        if condition is None and is_guided:
            raise ValueError(f"Guidance is towards a condition. Received: guidance={guidance}")
        asked = [] if condition is None else [self._as_input(self._check(condition, n))]
        leaves_out = self._condition_size and (condition is None or is_guided)
        if leaves_out and not self.condition_dropout:
            raise ValueError(
                "This flow was trained with conditions alone (`condition_dropout=0`): it needs "
                "one, and takes no guidance."
            )
        empty = self._empty(n) if leaves_out else []
        strength = [np.full(n, guidance, "float32")] if is_guided else []
        return [ops.convert_to_numpy(part) for part in (*asked, *empty, *strength)]

    def export(self, *args, **kwargs):
        """Raises `ValueError`: what a flow computes when it is called is a step of its training."""
        raise ValueError(
            "A flow has no outputs to export, as a call of it is a step of its training: export "
            "`flow.field`, the network of its velocity."
        )

    def get_config(self):
        names = ("code_shape", "num_classes", "condition_dim", "condition_dropout", "units")
        names += ("num_blocks", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _predict(model, inputs):
    """Returns `model.predict(inputs)`, without the time that Keras takes to feed an array."""
    starts = range(0, len(inputs[0]), BATCH)
    batches = ([part[start : start + BATCH] for part in inputs] for start in starts)
    outputs = [model.predict_on_batch(batch) for batch in batches]
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *outputs)


def _not_traced(z):
    """Returns an array, or raises `ValueError` for a tensor of a training step."""
    try:
        if not getattr(z, "requires_grad", False):
            return as_array(z)
    except (TypeError, NotImplementedError):  # of a tensor without values
        pass
    raise ValueError(
        "A flow has no density in a compiled step, so a VAE cannot `fit` or `evaluate` with it: "
        "train the VAE first, then the flow on its codes, and measure by `vae_keras.evaluation`."
    )


def _check_num_steps(num_steps):
    if num_steps < 1:
        raise ValueError(f"Argument `num_steps` must be >= 1. Received: num_steps={num_steps}")
