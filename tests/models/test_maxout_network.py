import keras
import numpy as np
import pytest

from dropzoo.layers import Maxout
from dropzoo.models import create_model, model_info

SMALL = {"filters": (2, 3, 4), "units": 5}


@pytest.fixture(scope="module")
def small():
    return create_model("maxout_cifar", num_classes=3, seed=1, **SMALL)


def test_parameters_are_those_of_the_figures():
    # Kernel, channels read, channels computed: twice or five times as many.
    convolutions = ((8, 3, 2 * 96), (8, 96, 2 * 192), (5, 192, 2 * 192))
    total = sum(k * k * read * made + made for k, read, made in convolutions)
    total += 5 * 5 * 192 * 2500 + 2500 + 500 * 10 + 10
    assert model_info("maxout_cifar").parameters == total


def test_maps_shrink_to_five_positions(small):
    sizes = [
        small.get_layer(name).output.shape[1:3]
        for name in ("conv1", "pool1", "conv2", "pool2", "conv3", "pool3")
    ]
    assert sizes == [
        (33,) * 2,
        (17,) * 2,
        (16,) * 2,
        (8,) * 2,
        (10,) * 2,
        (5,) * 2,
    ]


def test_a_layer_computes_its_pieces(small):
    pieces = {
        layer.name: layer.num_pieces
        for layer in small.layers
        if isinstance(layer, Maxout)
    }
    assert pieces == {
        "conv1_maxout": 2,
        "conv2_maxout": 2,
        "conv3_maxout": 2,
        "dense1_maxout": 5,
    }
    assert small.get_layer("conv2").filters == 2 * 3
    assert small.get_layer("dense1").units == 5 * 5


def test_pixels_are_dropped_less_than_maps(small):
    rates = [
        layer.rate
        for layer in small.layers
        if isinstance(layer, keras.layers.Dropout)
    ]
    assert rates == [0.2, 0.5, 0.5, 0.5, 0.5]


def test_norms_stay_below_their_bounds(small):
    model = keras.models.clone_model(small)
    model.compile(
        keras.optimizers.SGD(5.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3))
    model.train_on_batch(images.astype("float32"), np.array([0, 1, 2, 0]))
    for name, bound in (("conv1", 0.9), ("conv2", 1.9365), ("dense1", 1.9)):
        kernel = keras.ops.convert_to_numpy(model.get_layer(name).kernel)
        axes = tuple(range(kernel.ndim - 1))
        norms = np.sqrt(np.square(kernel).sum(axis=axes))
        assert norms.max() <= bound + 1e-4


def test_first_logits_have_the_scale_of_the_pixels(small):
    # First weights made for ReLUs give a first loss of 36.
    images = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3))
    logits = keras.ops.convert_to_numpy(small(images.astype("uint8")))
    assert 0.01 < logits.std() < 3


def test_a_rate_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="`input_dropout` must be in"):
        create_model("maxout_cifar", input_dropout=1.0)
