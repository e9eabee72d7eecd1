"""FusedAdam is Adam, in fewer operations."""

import keras
import numpy as np
import pytest
from helpers import (
    BACKEND,
    assert_same_parameters,
    get_parameters,
    on_jax,
    on_tensorflow,
    on_torch,
    remove_noise,
)

from vae_keras.optimizers import FusedAdam
from vae_keras.train_steps import train_step

# There it is Keras's Adam itself.
not_on_jax = pytest.mark.skipif(BACKEND == "jax", reason="is not about JAX")
OPTIONS = {
    "as it is": {},
    "betas": {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-2},
    "clipped": {"clipnorm": 0.1},
    "clipped in all": {"global_clipnorm": 0.1},
    "accumulated": {"gradient_accumulation_steps": 2},
    "averaged": {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 5},
    "decayed": {"weight_decay": 0.1},
    "amsgrad": {"amsgrad": True, "beta_2": 0.9},
    "scheduled": {"learning_rate": keras.optimizers.schedules.ExponentialDecay(1e-2, 10, 0.1)},
}
HOW = [
    pytest.param("float32", {"jit_compile": True}, marks=on_tensorflow),
    ("mixed_float16", {}),
    ("mixed_bfloat16", {}),
]
IMAGES, WORDS = (6, 6, 3), (5,)
LAYERS = {
    "dense": (IMAGES, lambda: [keras.layers.Dense(4)]),
    "convolution": (IMAGES, lambda: [keras.layers.Conv2D(4, 3), keras.layers.Conv2D(2, 2)]),
    "transposed": (IMAGES, lambda: [keras.layers.Conv2DTranspose(4, 3, strides=2)]),
    "depthwise": (IMAGES, lambda: [keras.layers.DepthwiseConv2D(3, depth_multiplier=2)]),
    "separable": (IMAGES, lambda: [keras.layers.SeparableConv2D(4, 3)]),
    "normalization": (IMAGES, lambda: [keras.layers.BatchNormalization(), keras.layers.Dense(2)]),
    "group": (IMAGES, lambda: [keras.layers.GroupNormalization(3), keras.layers.Conv2D(2, 3)]),
    "embedding": (WORDS, lambda: [keras.layers.Embedding(7, 3)]),
    "recurrent": (WORDS, lambda: [keras.layers.Embedding(7, 3), keras.layers.LSTM(4)]),
}


def train(make_vae, parameters, images, optimizer, **how):
    """Twenty steps; returns the weights and the moments, which another backend may go on from."""
    vae = make_vae(parameters=parameters)
    remove_noise(vae)
    vae.compile(optimizer, **how)
    vae.fit(images[:8], batch_size=4, epochs=10, shuffle=False, verbose=0)
    moments = map(keras.ops.convert_to_numpy, vae.optimizer.variables)
    return get_parameters(vae) + [np.array(moment, "float32") for moment in moments]


def stepped(optimizer):
    """Twenty steps of three variables along the same gradients; returns the variables."""
    rng = np.random.default_rng(0)
    shapes = [(6, 4), (4,), (3, 3, 2, 2)]
    variables = [keras.Variable(rng.normal(size=shape).astype("float32")) for shape in shapes]
    optimizer.build(variables)
    for step in range(20):  # smaller and smaller gradients: `amsgrad` remembers the largest
        gradients = [rng.normal(0.2, 1.0, shape) / (1.0 + step) for shape in shapes]
        optimizer.apply(
            [keras.ops.convert_to_tensor(gradient, "float32") for gradient in gradients]
        )
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


@not_on_jax
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_it_takes_the_steps_of_adam(options):
    options = {"learning_rate": 1e-2, **options}
    adam, fused = (stepped(cls(**options)) for cls in (keras.optimizers.Adam, FusedAdam))
    assert_same_parameters(adam, fused, rtol=1e-4, atol=1e-5)


@on_jax
def test_it_is_adam_where_the_compiler_fuses():
    assert FusedAdam.update_step is keras.optimizers.Adam.update_step
    assert FusedAdam.apply is keras.optimizers.Adam.apply


@not_on_jax
@pytest.mark.parametrize(("precision", "how"), HOW, ids=str)
def test_it_does_so_however_it_runs(policy, make_vae, parameters, images, precision, how):
    policy(precision)
    adam, fused = (
        train(make_vae, parameters, images, cls(1e-2), **how)[: len(parameters)]
        for cls in (keras.optimizers.Adam, FusedAdam)
    )
    # Where a gradient is rounded to zero or not, Adam takes a whole step or none.
    assert_same_parameters(adam, fused, rtol=1e-3, atol=1e-4 if precision == "float32" else 2e-2)


class Stepped(keras.Sequential):
    """Trained as a VAE is: on PyTorch, with the gradients in the order in which they come."""

    train_step = train_step


@not_on_jax
@pytest.mark.parametrize(("shape", "make_layers"), LAYERS.values(), ids=LAYERS.keys())
def test_it_does_so_for_every_kind_of_layer(shape, make_layers):
    # The gradient of a convolution's kernel may lie in memory in another order than the kernel.
    rng = np.random.default_rng(0)
    x = rng.random((8, *shape)) if shape == IMAGES else rng.integers(0, 7, (8, *shape))
    results = []
    for cls in (keras.optimizers.Adam, FusedAdam):
        keras.utils.set_random_seed(0)
        model = Stepped([keras.Input(shape), *make_layers(), keras.layers.Flatten()])
        y = np.linspace(-1, 1, 8 * model.output_shape[1]).reshape(8, -1)
        model.compile(cls(1e-2), "mse")
        model.fit(x.astype("float32"), y, batch_size=4, epochs=10, shuffle=False, verbose=0)
        results.append(get_parameters(model))
    assert_same_parameters(*results, rtol=1e-3, atol=1e-4)


@on_tensorflow
def test_a_variable_is_updated_by_one_operation(make_vae, images):
    import tensorflow as tf

    vae = make_vae(optimizer=FusedAdam(1e-3), traced=True)
    vae.optimizer.build(vae.trainable_variables)
    graph = tf.function(vae.train_step).get_concrete_function((images,)).graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert kinds.count("ResourceApplyAdam") == len(vae.trainable_variables)


@on_torch
def test_all_variables_are_updated_by_one_operation(make_vae, images):
    import torch

    vae = make_vae(optimizer=FusedAdam(1e-3), traced=True)
    vae.optimizer.build(vae.trainable_variables)
    with torch.profiler.profile() as profile:
        vae.train_step((images,))
    names = [event.name for event in profile.events()]
    assert names.count("aten::_fused_adam_") == 1
    assert not [name for name in names if name.startswith("aten::_foreach")]


@on_torch
def test_variables_of_two_precisions_train_together():
    results = []
    for cls in (keras.optimizers.Adam, FusedAdam):
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Dense(4, dtype="float16"), keras.layers.Dense(2)]
        model = keras.Sequential([keras.Input((3,)), *layers])
        model.compile(cls(1e-2, epsilon=1e-3), "mse")
        model.fit(np.ones((4, 3), "float32"), np.ones((4, 2)), epochs=5, verbose=0)
        results.append([np.asarray(p, "float32") for p in get_parameters(model)])
    # Not bfloat16: 0.999 is 1 there, and Keras's Adam stands still.
    assert_same_parameters(*results, rtol=1e-2, atol=1e-2)


@on_tensorflow
def test_a_sparse_gradient_trains_as_with_adam():
    tables = []
    for cls in (keras.optimizers.Adam, FusedAdam):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Embedding(5, 2)])
        model.compile(cls(1e-2), "mse")
        model.fit(np.arange(12).reshape(4, 3) % 4, np.ones((4, 3, 2)), epochs=3, verbose=0)
        tables.append(get_parameters(model))
    assert_same_parameters(*tables)


def test_it_is_saved_with_a_model_and_goes_on_from_there(make_vae, images, tmp_path):
    vae = make_vae(optimizer=FusedAdam(1e-2, global_clipnorm=3.0), traced=True)
    remove_noise(vae)
    vae.fit(images, verbose=0)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.saving.load_model(tmp_path / "vae.keras")
    remove_noise(loaded)
    assert loaded.optimizer.global_clipnorm == 3.0
    assert isinstance(loaded.optimizer, FusedAdam)
    for model in (vae, loaded):
        model.fit(images, shuffle=False, verbose=0)
    assert_same_parameters(get_parameters(vae), get_parameters(loaded))
