"""The mean of an activation whose argument is normal."""

import math
from collections.abc import Callable

import keras
from keras import ops

from .seed_table import SeedTable


def expected_activation(
    activation: Callable,
    mean,
    deviation,
    num_samples: int,
    seed_generator: keras.random.SeedGenerator,
):
    """Averages an activation over independent `u ~ N(mean, deviation^2)`.

    Keras's `linear` and `relu` are done in closed form, for ReLU
    `E[max(u, 0)] = mean Phi(mean / deviation) + deviation phi(mean /
    deviation)`. Any other activation is averaged over `num_samples` draws, of
    which one exists at a time.

    Args:
        activation: Function of a tensor, such as `keras.activations.softmax`.
        mean, deviation: Tensors of equal shape and type.
        num_samples: Number of draws, at least 1.
        seed_generator: Where the draws come from.

    Returns: Tensor of the shape of `mean`.
    """
    if activation is keras.activations.linear:
        return mean
    if activation is keras.activations.relu:
        return _expected_relu(mean, deviation)
    seeds = SeedTable(seed_generator, num_samples)

    def add_sample(index, total):
        noise = keras.random.normal(
            ops.shape(mean), dtype="float32", seed=seeds[index]
        )
        noise = ops.cast(noise, mean.dtype)
        return total + activation(mean + deviation * noise)

    total = ops.fori_loop(0, num_samples, add_sample, ops.zeros_like(mean))
    return total / num_samples


def _expected_relu(mean, deviation):
    is_random = deviation > 0
    scaled = mean / ops.where(is_random, deviation, 1)
    share = (1 + ops.erf(scaled / math.sqrt(2))) / 2
    density = ops.exp(-ops.square(scaled) / 2) / math.sqrt(2 * math.pi)
    return ops.where(
        is_random, mean * share + deviation * density, ops.relu(mean)
    )
