import keras
import numpy as np
import pytest

from dropzoo.layers import (
    DropBlock2D,
    FractionalMaxPooling2D,
    StochasticPooling2D,
)
from dropzoo.models import create_model, model_info
from dropzoo.models.fractional_networks import grow_sizes

CUBE_ROOT = 2 ** (1 / 3)


def create(name="fmp_cifar", **options):
    """A network of the published sizes with few channels."""
    options = {"num_classes": 3, "filters": 2, **options}
    return create_model(name, **options)


def layers_of(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


def noise(model, count=2):
    rng = np.random.default_rng(0)
    shape = (count, *model.input_shape[1:])
    return rng.integers(0, 256, shape).astype("float32")


def parameters(filters, poolings, channels):
    """From the notation of the paper; every convolution has biases."""
    total = 0
    for number in range(1, poolings + 3):
        kernel = 1 if number == poolings + 2 else 4
        total += (kernel * channels + 1) * number * filters
        channels = number * filters
    return total + 10 * channels + 10


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("fmp_cifar", (160, 12, 3)),
        ("fmp_cifar_small", (32, 12, 3)),
        ("fmp_mnist", (32, 6, 1)),
    ],
)
def test_the_record_has_the_parameters_of_the_notation(name, shape):
    assert model_info(name).parameters == parameters(*shape)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("fmp_cifar", marks=pytest.mark.slow),
        "fmp_cifar_small",
        "fmp_mnist",
    ],
)
def test_a_network_has_the_parameters_of_its_record(name):
    model = create_model(name)
    trained = sum(np.prod(v.shape) for v in model.trainable_variables)
    assert trained == model_info(name).parameters


def test_sizes_grow_backwards_to_those_of_the_paper():
    assert grow_sizes(1, [CUBE_ROOT] * 12)[0] == 94
    assert grow_sizes(1, [2**0.5] * 6) == [36, 25, 17, 11, 7, 4, 2]


def test_larger_images_get_the_next_field_in_which_they_fit():
    fields = [grow_sizes(x, [CUBE_ROOT] * 12)[0] for x in (94, 95, 111, 112)]
    assert fields == [94, 111, 111, 119]


def test_maps_shrink_as_the_paper_says():
    model = create()
    pools = layers_of(model, FractionalMaxPooling2D)
    sizes = [layer.output.shape[1] for layer in pools]
    assert len(pools) == 12 and sizes[-1] == 2
    for layer in pools:
        before, after = layer.input.shape[1], layer.output.shape[1]
        assert before == round(after * CUBE_ROOT)
    # A C2 takes the last position off, and a C1 nothing.
    assert model.get_layer("layer14_conv").output.shape[1:3] == (1, 1)
    assert model.get_layer("layer14_conv").output.shape[-1] == 14 * 2


def test_it_ends_in_logits():
    model = create("fmp_mnist")
    assert model.layers[-1].activation is keras.activations.linear
    logits = keras.ops.convert_to_numpy(model(noise(model)))
    assert logits.shape == (2, 3) and np.isfinite(logits).all()


def test_without_classes_it_ends_in_pooled_features():
    assert create(num_classes=0).output_shape == (None, 14 * 2)


def test_a_smaller_image_lies_in_the_middle_of_a_field_of_zeros():
    options = {"include_preprocessing": False, "poolings": 6}
    small = create(input_shape=(20, 17, 3), **options)
    side = grow_sizes(1, [CUBE_ROOT] * 6)[0]
    whole = create(input_shape=(side, side, 3), **options)
    whole.set_weights(small.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 20, 17, 3)).astype("float32")
    top, left = (side - 20) // 2, (side - 17) // 2
    field = np.zeros((2, side, side, 3), "float32")
    field[:, top : top + 20, left : left + 17] = x
    expected = keras.ops.convert_to_numpy(whole(field))
    got = keras.ops.convert_to_numpy(small(x))
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert np.abs(expected).max() > 1e-3


def test_a_larger_image_gets_a_larger_field():
    model = create(input_shape=(100, 40, 3))
    assert model.get_layer("field").output.shape[1:3] == (111, 94)
    assert model.get_layer("layer14_conv").output.shape[1:3] == (2, 1)
    assert model.output_shape == (None, 3)


def test_training_draws_regions_and_inference_does_not():
    model = create("fmp_mnist", dropout=0.0)
    images = noise(model)

    def logits(training):
        return keras.ops.convert_to_numpy(model(images, training=training))

    np.testing.assert_array_equal(logits(False), logits(False))
    assert np.abs(logits(True) - logits(True)).max() > 1e-6


def test_dropout_rises_with_depth():
    model = create(seed=1)
    drops = layers_of(model, keras.layers.Dropout)
    rates = [layer.rate for layer in drops]
    # Thirteen layers behind the first, the last of them in front of the head.
    assert rates == pytest.approx([0.5 * n / 13 for n in range(1, 14)])
    hidden = layers_of(model, keras.layers.SpatialDropout2D)
    assert hidden == drops[:-1] and drops[-1].name == "dropout"
    assert len({layer.seed for layer in drops}) == 13


def test_rectifiers_leak_a_third():
    rectifiers = layers_of(create(), keras.layers.LeakyReLU)
    slopes = [layer.negative_slope for layer in rectifiers]
    assert slopes == pytest.approx([1 / 3] * 14)


def test_another_activation_takes_the_place_of_every_rectifier():
    model = create(activation="silu")
    assert not layers_of(model, keras.layers.LeakyReLU)
    assert len(layers_of(model, keras.layers.Activation)) == 14


@pytest.mark.parametrize(
    ("pooling", "kind"),
    [
        ("max", keras.layers.MaxPooling2D),
        ("average", keras.layers.AveragePooling2D),
        ("stochastic", StochasticPooling2D),
    ],
)
def test_poolings_that_halve_come_once_for_three_fractional_ones(pooling, kind):
    model = create(pooling=pooling, seed=1)
    names = [layer.name for layer in layers_of(model, kind)]
    assert names == [f"layer{number}_pool" for number in (3, 6, 9, 12)]
    assert not layers_of(model, FractionalMaxPooling2D)
    for layer in layers_of(model, kind):
        assert layer.input.shape[1] == 2 * layer.output.shape[1]
    logits = keras.ops.convert_to_numpy(model(noise(model), training=True))
    assert np.isfinite(logits).all()


def test_fractional_pooling_is_its_own():
    plain, named = create(seed=1), create(seed=1, pooling="fractional")
    assert plain.get_config() == named.get_config()


def test_blocks_are_dropped_on_the_coarser_maps():
    model = create("fmp_mnist", drop_block=0.1)
    names = [layer.name for layer in layers_of(model, DropBlock2D)]
    assert names == [f"layer{number}_drop_block" for number in (4, 5, 6)]


def test_stochastic_depth_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="because it has no residual branch"):
        create(stochastic_depth=0.2)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"filters": 0}, "must be at least 1.*filters=0, poolings=12"),
        ({"poolings": 0}, "must be at least 1.*poolings=0"),
        ({"poolings_to_halve": -1}, "at least 1.*poolings_to_halve=-1"),
        ({"dropout": 1.0}, "`dropout` must be in .*dropout=1.0"),
        ({"dropout": -0.1}, "`dropout` must be in .*dropout=-0.1"),
    ],
)
def test_a_shape_that_makes_no_network_is_refused(options, rule):
    with pytest.raises(ValueError, match=rule):
        create(**options)
