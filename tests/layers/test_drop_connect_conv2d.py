import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropzoo.layers import DropConnectConv2D

# JAX compiles every operation for each shape.
EXAMPLES = 6 if keras.backend.backend() == "tensorflow" else 3

every_mask = pytest.mark.parametrize("masks", ["example", "batch", "gaussian"])


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def make(x, filters=4, kernel_size=3, **options):
    """A built layer with weights and biases far from zero."""
    layer = DropConnectConv2D(filters, kernel_size, **{"seed": 1, **options})
    layer.build(x.shape)
    weights = [normal(*w.shape, seed=7) for w in layer.get_weights()]
    layer.set_weights(weights)
    return layer


def as_convolution(layer, x, kernel=None):
    """What a plain Conv2D with the same weights, or another kernel, gives."""
    config = {
        name: getattr(layer, name)
        for name in (
            "filters",
            "kernel_size",
            "strides",
            "padding",
            "dilation_rate",
            "groups",
            "use_bias",
        )
    }
    plain = keras.layers.Conv2D(**config)
    plain.build(x.shape)
    weights = layer.get_weights()
    plain.set_weights([weights[0] if kernel is None else kernel, *weights[1:]])
    return keras.ops.convert_to_numpy(plain(x))


@every_mask
def test_rate_zero_is_a_convolution(masks, to_numpy):
    x = normal(2, 6, 7, 3)
    layer = make(x, masks=masks, rate=0)
    for training in (True, False):
        output = to_numpy(layer(x, training=training))
        np.testing.assert_array_equal(output, as_convolution(layer, x))


def test_inference_is_a_convolution_where_training_is_scaled(to_numpy):
    x = normal(2, 6, 7, 3)
    layer = make(x, padding="same")
    np.testing.assert_array_equal(to_numpy(layer(x)), as_convolution(layer, x))


# Few, as JAX compiles each shape anew.
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(
    kernel_size=st.sampled_from([(1, 1), (3, 2), (2, 5)]),
    steps=st.sampled_from(
        [
            {},
            {"strides": 2},
            {"strides": (1, 3)},
            {"dilation_rate": 2},
            {"dilation_rate": (2, 1)},
        ]
    ),
    padding=st.sampled_from(["valid", "same"]),
    groups=st.sampled_from([1, 2]),
)
def test_patches_cover_what_a_convolution_does(
    kernel_size, steps, padding, groups
):
    x = normal(2, 7, 8, 4)
    options = {"padding": padding, "groups": groups, **steps}
    # So small a rate drops nothing.
    layer = make(x, kernel_size=kernel_size, rate=1e-12, **options)
    output = keras.ops.convert_to_numpy(layer(x, training=True))
    expected = as_convolution(layer, x)
    np.testing.assert_allclose(output, expected, atol=1e-4)


def masked_kernels(layer, count):
    """The kernel, 3 x 3, that each image of a batch meets at the first call.

    A lone pixel leaves the kernel, turned round, in the map; there is one for
    each channel, so far apart that their traces do not touch.
    """
    shape = layer.kernel.shape
    channels = shape[2] * layer.groups
    probe = np.zeros((count, 5, 5 * channels, channels), "float32")
    for channel in range(channels):
        probe[:, 2, 5 * channel + 2, channel] = 1
    trace = keras.ops.convert_to_numpy(layer(probe, training=True))
    kernels = np.zeros((count, *shape))
    filters = shape[3] // layer.groups
    for channel in range(channels):
        group, place = divmod(channel, shape[2])
        mine = slice(group * filters, (group + 1) * filters)
        columns = slice(5 * channel, 5 * channel + 3)
        turned = trace[:, ::-1, columns, mine][:, :, ::-1]
        kernels[:, :, :, place, mine] = turned
    return kernels


@pytest.mark.parametrize("groups", [1, 2])
def test_each_image_is_convolved_with_its_masked_kernel(groups, to_numpy):
    x = normal(3, 6, 5, 4)
    options = {"use_bias": False, "groups": groups, "rate": 0.3}
    # Equal seeds: what one layer shows is what the other draws.
    kernels = masked_kernels(make(x, **options), 3)
    layer = make(x, **options)
    ratio = kernels / layer.get_weights()[0]
    assert set(np.unique(ratio.round(4))) == {0, 1.4286}
    assert (ratio[0] != ratio[1]).any()
    output = to_numpy(layer(x, training=True))
    for image, kernel, result in zip(x, kernels, output, strict=True):
        expected = as_convolution(layer, image[None], kernel)[0]
        np.testing.assert_allclose(result, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("masks", "scale"),
    [
        ("example", "training"),
        ("example", "inference"),
        ("batch", "training"),
        ("gaussian", "inference"),
    ],
)
def test_pre_activations_have_the_mean_and_variance_of_theory(
    masks, scale, to_numpy
):
    # As many filters with equal weights, of which all but the masks is equal.
    many, rate = 8000, 0.3
    rng, bias = np.random.default_rng(0), 0.5
    patch, kernel = rng.normal(size=(2, 3, 2, 2))
    layer = make(patch[None], many, (3, 2), masks=masks, scale=scale, rate=rate)
    kernel_of_all = np.repeat(kernel[..., None], many, axis=-1)
    layer.set_weights([kernel_of_all, np.full(many, bias)])
    values = to_numpy(layer(patch[None], training=True)).astype("float64")
    keep = 1 - rate
    kept = 1 / keep if scale == "training" else 1
    mean = keep * kept * (np.sum(patch * kernel) + bias)
    squares = np.sum(patch**2 * kernel**2) + bias**2
    variance = keep * rate * kept**2 * squares
    # Five standard errors; a variance's is below that of normal variables,
    # as sums of coin tosses have thinner tails or nearly so.
    error = 5 * np.sqrt(variance / many)
    assert values.mean() == pytest.approx(mean, abs=error)
    error = 5 * variance * np.sqrt(2 / many)
    assert values.var() == pytest.approx(variance, abs=error)


def test_positions_of_an_image_share_its_mask_but_not_its_noise(to_numpy):
    x = np.ones((2, 6, 6, 3), "float32")
    masked = to_numpy(make(x)(x, training=True))
    np.testing.assert_allclose(
        masked, np.broadcast_to(masked[:, :1, :1], masked.shape), rtol=1e-4
    )
    assert (masked[0, 0, 0] != masked[1, 0, 0]).any()
    noisy = to_numpy(make(x, masks="gaussian")(x, training=True))
    assert (noisy[:, 0] != noisy[:, 1]).all()


def test_a_batch_shares_one_mask(to_numpy):
    x = np.repeat(normal(1, 5, 5, 3), 4, axis=0)
    values = to_numpy(make(x, masks="batch")(x, training=True))
    np.testing.assert_allclose(values, values[:1].repeat(4, 0), atol=1e-5)


def test_channels_first_is_channels_last_turned(to_numpy):
    x = normal(3, 6, 5, 4)
    turned = x.transpose(0, 3, 1, 2)
    options = {"strides": 2, "padding": "same", "groups": 2}
    last = make(x, **options)(x, training=True)
    layer = make(turned, data_format="channels_first", **options)
    first = to_numpy(layer(turned, training=True))
    np.testing.assert_allclose(
        first.transpose(0, 2, 3, 1), to_numpy(last), atol=1e-5
    )


def test_gradients_reach_kernel_bias_and_images(gradient):
    x = normal(2, 5, 5, 2)
    layer = make(x, activation="tanh", rate=0.3)
    assert np.abs(gradient(lambda x: layer(x, training=True), x)).max() > 0
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    model.compile("sgd", "mse")
    before = layer.get_weights()
    model.train_on_batch(x, np.zeros((2, 3, 3, 4)))
    for old, new in zip(before, layer.get_weights(), strict=True):
        assert (old != new).any()


def test_images_of_any_size_will_do():
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            DropConnectConv2D(2, 3, strides=2, padding="same"),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    model.compile("sgd", "mse")
    for height, width in ((4, 7), (9, 6)):
        loss = model.train_on_batch(
            normal(2, height, width, 3), np.zeros((2, 2))
        )
        assert np.isfinite(loss)


def test_images_smaller_than_the_kernel_are_refused():
    layer = make(np.zeros((1, 5, 5, 3)))
    with pytest.raises(ValueError, match="(?i)negative"):
        layer(np.zeros((1, 2, 5, 3), "float32"), training=True)


@pytest.mark.parametrize("inference", ["mean", "gaussian"])
def test_inference_is_that_of_theory(inference, to_numpy):
    x = normal(2, 5, 5, 3)
    options = {"scale": "inference", "rate": 0.3, "inference": inference}
    layer = make(x, **options)
    # A linear layer's expectation is its mean.
    expected = 0.7 * as_convolution(layer, x)
    np.testing.assert_allclose(to_numpy(layer(x)), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"rate": -0.1}, "DropConnectConv2D: `rate` must be in .*-0.1"),
        ({"masks": "pixel"}, "`masks` must be 'example', .*'pixel'"),
        ({"num_samples": -1}, "`num_samples` must be an integer .*-1"),
        ({"filters": 5, "groups": 2}, "groups=2"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        DropConnectConv2D(**{"filters": 4, "kernel_size": 3, **arguments})
