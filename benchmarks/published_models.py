"""The models of `published.py`, each made of the package's public parts."""

import math

import keras
from digits import gated, gated_networks
from keras import layers, ops

from vae_keras import VAE, kl_divergence
from vae_keras.likelihoods import DiscretizedLogisticMixture
from vae_keras.losses import in_full_precision, sum_per_example
from vae_keras.priors import Prior, StandardNormal, VampPrior, log_normal
from vae_keras.sampling import KeepsNoise

IMAGE_SHAPE = (28, 28, 1)
registered = keras.saving.register_keras_serializable(package="benchmarks")


@registered
class Binarized(KeepsNoise, VAE):
    """A VAE that draws each pixel anew in every step, on with a probability of its grey value.

    An image that is black and white already stays as it is.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seed_generator = keras.random.SeedGenerator(self.seed)

    def call(self, x, training=None):
        # In float32 also where `x` is not: bfloat16 has no more than 256 numbers between 1/2 and 1.
        draw = keras.random.uniform(ops.shape(x), dtype="float32", seed=self.seed_generator)
        binary = ops.cast(draw < ops.cast(x, "float32"), x.dtype)
        return (*self.outputs_of(binary, training), binary)

    def outputs_of(self, binary, training):
        """Returns what `VAE.call` does, of black and white images."""
        return super().call(binary, training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(y_pred[4], None, y_pred, sample_weight, training)


@registered
class ImportanceWeighted(Binarized):
    """Trained on the tighter bound of several samples (Burda et al., 2016)."""

    def __init__(self, *args, num_samples=5, **kwargs):
        super().__init__(*args, **kwargs)
        self.num_samples = num_samples

    def outputs_of(self, binary, training):
        if not training:
            return super().outputs_of(binary, training)
        return samples_of(self, binary, self.num_samples, training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if not training:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        parameters, *posterior, binary = y_pred
        binary = ops.repeat(binary, self.num_samples, axis=0)  # all samples are of one draw
        ratio = Prior.call(self.prior, *posterior)  # estimated by the sample, as the bound asks for
        log_weights = self.likelihood(binary, parameters) - self.beta_variable * ratio
        log_weights = ops.reshape(log_weights, (-1, self.num_samples))
        bounds = ops.logsumexp(log_weights, axis=1) - math.log(self.num_samples)
        return -ops.mean(bounds)

    def get_config(self):
        return {**super().get_config(), "num_samples": self.num_samples}


@registered
class TwoLevels(Binarized):
    """Codes of two levels, `z = [z1, z2]`, drawn from `q(z2|x)` and then `q(z1|x, z2)`.

    The encoder returns what `lower` takes beside `z2`, and the posterior of `z2`.
    """

    def __init__(self, encoder, decoder, lower, **kwargs):
        super().__init__(encoder, decoder, **kwargs)
        self.lower = lower

    def outputs_of(self, binary, training):
        features, *upper = self.encoder(binary, training=training)
        z2 = self.sampling(upper)
        lower = self.lower([features, z2], training=training)
        posterior = [ops.concatenate(pair, axis=1) for pair in zip(lower, upper, strict=True)]
        z = ops.concatenate([self.sampling(lower), z2], axis=1)
        return self.decoder(z, training=training), *posterior, z

    def get_config(self):
        return {**super().get_config(), "lower": keras.saving.serialize_keras_object(self.lower)}


def samples_of(vae, x, num_samples, training=False):
    """Returns what `VAE.call` does, of so many codes for each image, one image after another."""
    if isinstance(vae, TwoLevels):
        # The posterior of the lower level depends on the sample of the upper.
        return vae.outputs_of(ops.repeat(x, num_samples, axis=0), training)
    posterior = vae.encoder(x, training=training)  # once, and not for each sample
    z_mean, z_log_var = (ops.repeat(part, num_samples, axis=0) for part in posterior)
    z = vae.sampling((z_mean, z_log_var))
    return vae.decoder(z, training=training), z_mean, z_log_var, z


def log_mixture(z, means, log_vars, log_weights):
    """Returns the log-density of a mixture of Gaussians, `(batch,)`, in nats.

    Its squares are multiplied out: two matrix products in place of 500 by 500 differences, forty
    times as fast on a processor, and as exact where no variance is tiny and no factor rounded.
    """
    z, precisions = in_full_precision(z), ops.exp(-log_vars)
    distances = ops.matmul(ops.square(z), ops.transpose(precisions))
    distances -= 2.0 * ops.matmul(z, ops.transpose(precisions * means))
    constants = precisions * ops.square(means) + log_vars + math.log(2.0 * math.pi)
    parts = -0.5 * (distances + ops.sum(constants, axis=1))
    return ops.logsumexp(parts + log_weights, axis=1)


@registered
class Vamp(VampPrior):
    """A `VampPrior` of codes that are lists of numbers."""

    def log_prob(self, z):
        return log_mixture(z, *self.components(), -math.log(self.count))


@registered
class Mixture(Prior):
    """A mixture of Gaussians whose weights, means and variances are trained with the model.

    The means begin between 0 and the codes that N(0, I) has, the variances below 1, so that all
    components are one broad Gaussian at first.
    """

    def __init__(self, count=500, size=40, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.count, self.size, self.seed = count, size, seed
        start = keras.initializers.RandomNormal(stddev=0.5, seed=seed)
        self.means = self.add_weight((count, size), start, name="means")
        log_var = keras.initializers.Constant(math.log(1.0 - 0.5**2))
        self.log_vars = self.add_weight((count, size), log_var, name="log_vars")
        self.logits = self.add_weight((count,), "zeros", name="logits")

    def log_prob(self, z):
        return log_mixture(z, self.means, self.log_vars, ops.log_softmax(self.logits))

    def sample(self, n, seed=None):
        seeds = keras.random.SeedGenerator(seed)
        logits = ops.convert_to_tensor(self.logits)[None]
        chosen = keras.random.categorical(logits, n, dtype="int32", seed=seeds)[0]
        mean, log_var = (ops.take(part, chosen, axis=0) for part in (self.means, self.log_vars))
        return mean + ops.exp(log_var / 2) * keras.random.normal(mean.shape, seed=seeds)

    def get_config(self):
        config = {"count": self.count, "size": self.size, "seed": self.seed}
        return {**super().get_config(), **config}


@registered
class TwoLevelPrior(Prior):
    """`p(z2) p(z1|z2)`: the network returns mean and log-variance of `z1`; `upper` is `p(z2)`."""

    def __init__(self, network, upper=None, **kwargs):
        super().__init__(**kwargs)
        self.network = network
        self.upper = StandardNormal() if upper is None else upper
        self.size = network.inputs[0].shape[1]

    def get_build_config(self):
        return None  # what is loaded is built by its model, as a `VampPrior` is

    def attach(self, encoder):
        self.upper.attach(keras.Model(encoder.inputs, encoder.outputs[1:]))

    def build(self, input_shape):
        if not self.upper.built:
            self.upper.build((None, self.size))

    def call(self, z_mean, z_log_var, z):
        # In closed form: the divergence of z1 is one to N(0, I) in units of p(z1|z2).
        parts = (self._split(in_full_precision(part)) for part in (z_mean, z_log_var, z))
        (mean1, mean2), (log_var1, log_var2), (_, z2) = parts
        mean, log_var = map(in_full_precision, self.network(z2))
        standardized = (mean1 - mean) * ops.exp(-log_var / 2)
        return kl_divergence(standardized, log_var1 - log_var) + self.upper(mean2, log_var2, z2)

    def log_prob(self, z):
        z1, z2 = self._split(z)
        return sum_per_example(log_normal(z1, *self.network(z2))) + self.upper.log_prob(z2)

    def sample(self, n, seed=None):
        seeds = keras.random.SeedGenerator(seed)
        z2 = self.upper.sample(n, seeds)
        mean, log_var = self.network(z2)
        z1 = mean + ops.exp(log_var / 2) * keras.random.normal(mean.shape, seed=seeds)
        return ops.concatenate([z1, z2], axis=1)

    def _split(self, z):
        return z[:, : -self.size], z[:, -self.size :]

    def get_config(self):
        parts = {"network": self.network, "upper": self.upper}
        config = {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config):
        return cls(**keras.saving.deserialize_keras_object(config))


def two_gated(x, units=300):
    return gated(gated(x, units), units)


def gaussian(x, size=40):
    return layers.Dense(size)(x), layers.Dense(size)(x)


def image_of(x):
    return layers.Reshape(IMAGE_SHAPE)(layers.Dense(math.prod(IMAGE_SHAPE))(x))


def residual(x, layer):
    """A residual block: two layers, added to what goes in."""
    y = layer()(layers.Activation("silu")(x))
    return layers.Add()([x, layer()(layers.Activation("silu")(y))])


def dense_trunk(x, units=512, blocks=2):
    x = layers.Dense(units)(x)
    for _ in range(blocks):
        x = residual(x, lambda: layers.Dense(units))
    return layers.Activation("silu")(x)


def residual_networks():
    """Returns networks of ours: residual blocks of 512 units."""
    image, z = keras.Input(IMAGE_SHAPE), keras.Input((40,))
    encoder = keras.Model(image, gaussian(dense_trunk(layers.Flatten()(image))))
    return encoder, keras.Model(z, image_of(dense_trunk(z)))


def two_levels(features_of, decoded, seed, upper=None, size=40):
    """Returns a `TwoLevels` of an encoder's trunk and of a decoder, gated networks between."""
    image, z2 = keras.Input(IMAGE_SHAPE), keras.Input((size,))
    features = features_of(image)
    encoder = keras.Model(image, (features, *gaussian(features, size)))
    given = keras.Input(features.shape[1:])
    joined = layers.Concatenate()([given, layers.Dense(300)(z2)])
    lower = keras.Model([given, z2], gaussian(gated(joined, 300), size))
    prior = TwoLevelPrior(keras.Model(z2, gaussian(two_gated(z2), size)), upper)
    codes = keras.Input((2 * size,))
    return TwoLevels(encoder, keras.Model(codes, decoded(codes)), lower, prior=prior, seed=seed)


def doubled(x, count):
    """Doubles the sides of a map: four times the channels, of which each place becomes a square.

    On a processor JAX takes three to five times as long for a transposed convolution of size 4.
    """
    height, width = x.shape[1:3]
    x = layers.Conv2D(4 * count, 3, padding="same")(layers.Activation("silu")(x))
    x = layers.Permute((1, 3, 2, 4, 5))(layers.Reshape((height, width, 2, 2, count))(x))
    return layers.Reshape((2 * height, 2 * width, count))(x)


def grown(codes, channels=(64, 32)):
    """Grows an image from codes by convolutions: a residual block on 7 by 7 places and on 14."""
    x = layers.Dense(300, activation="silu")(codes)
    x = layers.Reshape((7, 7, channels[0]))(layers.Dense(49 * channels[0])(x))
    for count, smaller in zip(channels, (*channels[1:], 1), strict=True):
        x = residual(x, lambda count=count: layers.Conv2D(count, 3, padding="same"))
        x = doubled(x, smaller)
    return x


def plain(seed, images):
    return Binarized(*gated_networks(), seed=seed)


def as_published(seed, images):
    """The same as in the published code: He et al.'s first weights, log-variances from -6 to 2."""
    encoder, decoder = gated_networks()
    seeds = keras.random.SeedGenerator(seed)
    draw = keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal", seeds)
    for layer in (*encoder.layers, *decoder.layers):
        if isinstance(layer, layers.Dense):
            layer.kernel.assign(draw(layer.kernel.shape))
    mean, log_var = encoder.outputs
    encoder = keras.Model(encoder.inputs, (mean, ops.clip(log_var, -6.0, 2.0)))
    return Binarized(encoder, decoder, seed=seed)


def wide(seed, images):
    return Binarized(*residual_networks(), seed=seed)


def vamp(seed, images):
    return Binarized(*gated_networks(), prior=Vamp(images[:500]), seed=seed)


def mixture(seed, images):
    return Binarized(*gated_networks(), prior=Mixture(seed=seed), seed=seed)


def wide_vamp(seed, images):
    return Binarized(*residual_networks(), prior=Vamp(images[:500]), seed=seed)


def importance_weighted(num_samples):
    def make(seed, images):
        return ImportanceWeighted(*gated_networks(), num_samples=num_samples, seed=seed)

    return make


def hierarchical(seed, images, decoded=None, upper=None):
    def features_of(image):
        return two_gated(layers.Flatten()(image))

    decoded = decoded or (lambda codes: image_of(two_gated(codes)))
    return two_levels(features_of, decoded, seed, upper)


def hierarchical_vamp(seed, images):
    return hierarchical(seed, images, upper=Vamp(images[:500]))


def convolutional(seed, images):
    return hierarchical(seed, images, grown)


def convolutional_vamp(seed, images):
    return hierarchical(seed, images, grown, Vamp(images[:500]))


def grey(seed, images):
    """A VAE of grey images, each pixel one of 256 levels."""
    encoder, _ = residual_networks()
    z, likelihood = keras.Input((40,)), DiscretizedLogisticMixture()
    shape = likelihood.parameters_shape(IMAGE_SHAPE)
    parameters = layers.Reshape(shape)(layers.Dense(math.prod(shape))(dense_trunk(z)))
    return VAE(encoder, keras.Model(z, parameters), likelihood, seed=seed)
