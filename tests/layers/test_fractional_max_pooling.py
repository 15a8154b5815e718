import keras
import numpy as np
import pytest
from keras import ops

from dropzoo.layers import (
    FractionalMaxPooling1D,
    FractionalMaxPooling2D,
    FractionalMaxPooling3D,
)
from dropzoo.layers.fractional_max_pooling import pool_max
from dropzoo.layers.fractional_regions import (
    Regions,
    find_parts,
    find_torch_windows,
    pseudorandom_boundaries,
)

LAYERS = [
    FractionalMaxPooling1D,
    FractionalMaxPooling2D,
    FractionalMaxPooling3D,
]
# One shape per rank: JAX compiles each operation for every new one.
SHAPES = {1: (3, 11, 4), 2: (3, 11, 12, 4), 3: (3, 5, 6, 7, 4)}
# Geometry, sequence, overlapping, regions: every combination but the last.
KINDS = [
    ("graham", "pseudorandom", True, "batch"),
    ("graham", "random", True, "sample"),
    ("graham", "pseudorandom", False, "sample"),
    ("graham", "random", False, "batch"),
    ("torch", "pseudorandom", True, "batch"),
    ("torch", "pseudorandom", True, "sample"),
    ("tensorflow", "pseudorandom", True, "batch"),
    ("tensorflow", "random", True, "sample"),
    ("tensorflow", "pseudorandom", False, "batch"),
    ("tensorflow", "random", False, "sample"),
]
FEW = [KINDS[0], KINDS[3], KINDS[7]]
every_kind = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind, marks=[pytest.mark.slow(ci=True)] * (kind not in FEW)
        )
        for kind in KINDS
    ],
)


def make(kind, rank=2, **options):
    names = ("geometry", "sequence", "overlapping", "regions")
    options = {**dict(zip(names, kind, strict=True)), "seed": 1, **options}
    return LAYERS[rank - 1](**options)


def images(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def spans(axis, length, sample, channel):
    """Start and stop of each region on one axis, as NumPy."""
    starts = ops.convert_to_numpy(axis.starts)
    sizes = np.broadcast_to(ops.convert_to_numpy(axis.sizes), starts.shape)
    image = (sample % starts.shape[0], channel % starts.shape[1])
    stops = np.minimum(starts[image] + sizes[image], length)
    return list(zip(starts[image], stops, strict=True))


def pool_by_hand(x, regions, reduce=np.max):
    """Sample by sample, channel by channel, axis by axis."""
    channels = []
    for sample, channel in np.ndindex(x.shape[0], x.shape[-1]):
        image = x[sample, ..., channel]
        for number, axis in enumerate(regions):
            parts = [
                reduce(image.take(range(*span), number), number)
                for span in spans(axis, image.shape[number], sample, channel)
            ]
            image = np.stack(parts, number)
        channels.append(image)
    stacked = np.stack(channels).reshape(x.shape[0], x.shape[-1], *image.shape)
    return np.moveaxis(stacked, 1, -1)


def slopes_by_hand(x, regions):
    """Gradient of the sum of all outputs of maps, to the first maximum."""
    slopes = np.zeros_like(x)
    rows, columns = regions
    for sample, channel in np.ndindex(x.shape[0], x.shape[-1]):
        for top, bottom in spans(rows, x.shape[1], sample, channel):
            for left, right in spans(columns, x.shape[2], sample, channel):
                part = x[sample, top:bottom, left:right, channel]
                row, column = np.unravel_index(part.argmax(), part.shape)
                slopes[sample, top + row, left + column, channel] += 1
    return slopes


@pytest.mark.parametrize(
    ("rank", "kind"),
    [(rank, KINDS[7]) for rank in (1, 2, 3)]
    + [
        pytest.param(rank, kind, marks=pytest.mark.slow(ci=True))
        for rank, kind in [
            *((2, kind) for kind in KINDS if kind != KINDS[7]),
            (1, KINDS[0]),
            (3, KINDS[0]),
        ]
    ],
)
def test_the_output_is_the_maximum_of_each_region(compiled, rank, kind):
    x = images(*SHAPES[rank])
    regions = make(kind, rank).find_regions(x.shape, is_random=True)
    samples, channels = regions[0].starts.shape[:2]
    assert samples == (1 if "batch" in kind else 3)
    assert channels == (4 if "torch" in kind else 1)
    pool = compiled(lambda x: pool_max(x, regions))
    output = ops.convert_to_numpy(pool(ops.convert_to_tensor(x)))
    np.testing.assert_array_equal(output, pool_by_hand(x, regions))


@every_kind
def test_gradients_go_to_the_first_maximum(gradient, compiled, kind):
    # Half of all numbers are 0, as behind a ReLU: ties everywhere.
    x = np.maximum(images(*SHAPES[2]), 0)
    regions = make(kind).find_regions(x.shape, is_random=True)
    slopes = gradient(compiled(lambda x: pool_max(x, regions)), x)
    np.testing.assert_array_equal(slopes, slopes_by_hand(x, regions))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_ratio_of_two_is_ordinary_max_pooling(rank, gradient):
    x = images(2, *(6, 8, 4)[:rank], 3)
    x[0, :4, ..., 0] = -np.inf
    x[0, 3, ..., 1] = np.inf
    x[1, 2, ..., 2] = np.nan
    ordinary = getattr(keras.layers, f"MaxPooling{rank}D")(2)
    layer = LAYERS[rank - 1](2)
    np.testing.assert_array_equal(layer(x, training=True), ordinary(x))
    slopes = gradient(lambda x: layer(x, training=True), np.zeros_like(x))
    first = np.zeros_like(x)
    first[(slice(None), *[slice(None, None, 2)] * rank)] = 1
    np.testing.assert_array_equal(slopes, first)


def test_the_worked_example_of_paddle():
    draw = ops.convert_to_tensor(np.full((1, 1, 1), 0.3, "float32"))
    regions = find_parts(pseudorandom_boundaries(draw, 7, 5), limits=(1, 2))
    x = np.array([2, 4, 3, 1, 5, 2, 3], "float32").reshape(1, 7, 1)
    output = pool_max(ops.convert_to_tensor(x), [regions])
    assert np.array_equal(output[0, :, 0], [2, 4, 1, 5, 3])


@pytest.mark.parametrize("pseudorandom", [True, False])
@pytest.mark.parametrize("overlapping", [True, False])
@pytest.mark.parametrize("ratio", [1.41, 2.6])
def test_agrees_with_tensorflow_over_the_regions_that_it_returns(
    gradient, compiled, pseudorandom, overlapping, ratio
):
    import tensorflow as tf

    x = tf.constant(images(*SHAPES[2]))
    with tf.GradientTape() as tape:
        tape.watch(x)
        expected, *sequences = tf.nn.fractional_max_pool(
            x, [1, ratio, ratio, 1], pseudorandom, overlapping, seed=3
        )
    expected_slopes = tape.gradient(expected, x)
    layer = FractionalMaxPooling2D(ratio, geometry="tensorflow")
    assert layer.compute_output_shape(x.shape) == expected.shape

    regions = []
    for sequence in sequences:
        boundaries = sequence.numpy().astype("int32")[None, None]
        sizes = np.diff(boundaries)
        limits = (int(sizes.min()), int(sizes.max()))
        boundaries = ops.convert_to_tensor(boundaries)
        regions.append(find_parts(boundaries, limits, overlapping))
    x = ops.convert_to_tensor(x.numpy())
    pool = compiled(lambda x: pool_max(x, regions))
    np.testing.assert_array_equal(pool(x), expected)
    np.testing.assert_array_equal(gradient(pool, x), expected_slopes)


def torch_regions(samples, lengths, counts, size):
    """Regions from PyTorch's samples, `(batch, channels, axes)`."""
    samples = (
        samples[..., ::-1] if len(lengths) == 2 else samples
    )  # width first
    return [
        find_torch_windows(
            ops.convert_to_tensor(samples[..., axis, None].copy()),
            length,
            count,
            size,
        )
        for axis, (length, count) in enumerate(
            zip(lengths, counts, strict=True)
        )
    ]


@pytest.mark.torch
@pytest.mark.parametrize(
    ("lengths", "counts", "size"),
    [
        ((29, 26), (20, 11), 2),
        ((29, 26), (9, 20), 3),
        ((9, 8, 11), (6, 5, 4), 2),
    ],
)
def test_agrees_with_torch_given_its_samples(gradient, lengths, counts, size):
    import torch

    rank = len(lengths)
    random = np.random.default_rng(0)
    samples = random.random((2, 3, rank)).astype("float32")
    x = images(2, *lengths, 3)
    inputs = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    layer = getattr(torch.nn, f"FractionalMaxPool{rank}d")(
        size, output_size=counts, _random_samples=torch.tensor(samples)
    )
    expected = layer(inputs)
    expected.sum().backward()

    regions = torch_regions(samples, lengths, counts, size)
    output = ops.convert_to_numpy(pool_max(ops.convert_to_tensor(x), regions))
    np.testing.assert_array_equal(
        np.moveaxis(output, -1, 1), expected.detach().numpy()
    )
    slopes = gradient(lambda x: pool_max(x, regions), x)
    np.testing.assert_array_equal(
        np.moveaxis(slopes, -1, 1), inputs.grad.numpy()
    )


def test_two_windows_of_torch_may_start_at_one_place(gradient):
    """Rounding does that once in a while; no gradient must be lost."""
    starts = ops.convert_to_tensor(np.array([[[0, 1, 1, 3]]], "int32"))
    regions = [Regions(starts, 2, 2, 2, distinct=False)]
    x = np.array([1, 2, 5, 4, 3], "float32").reshape(1, 5, 1)
    slopes = gradient(lambda x: pool_max(x, regions), x)
    assert slopes.ravel().tolist() == [0, 1, 2, 1, 0]


def test_regions_are_shared_by_what_the_options_say():
    """One image three times, in four equal channels."""
    x = np.broadcast_to(images(1, 11, 12, 1), SHAPES[2])

    def outputs(**options):
        layer = FractionalMaxPooling2D(seed=1, **options)
        return ops.convert_to_numpy(layer(x, training=True))

    def differ(one, other):
        return (one != other).any()

    batch = outputs()
    assert not differ(batch, batch[:1, ..., :1])
    sample = outputs(regions="sample")
    assert not differ(sample, sample[..., :1])
    assert differ(sample[0], sample[1]) and differ(sample[1], sample[2])
    torch_batch = outputs(geometry="torch")
    assert not differ(torch_batch, torch_batch[:1])
    assert differ(torch_batch[..., 0], torch_batch[..., 1])
    torch_sample = outputs(geometry="torch", regions="sample")
    assert differ(torch_sample[0], torch_sample[1])
    assert differ(torch_sample[..., 0], torch_sample[..., 1])


@every_kind
def test_inference_is_fixed_and_training_draws(kind):
    x = images(*SHAPES[2])
    layer = make(kind)
    fixed = ops.convert_to_numpy(layer(x))
    np.testing.assert_array_equal(layer(x, training=False), fixed)
    assert len({as_bytes(layer(x, training=True)) for _ in range(8)}) > 1
    layer = make(kind, inference="random")
    assert len({as_bytes(layer(x)) for _ in range(8)}) > 1


def as_bytes(tensor):
    return ops.convert_to_numpy(tensor).tobytes()


def test_fixed_regions_are_nearest_to_an_even_spread():
    (axis,) = FractionalMaxPooling1D().find_regions((2, 56, 3), is_random=False)
    even = np.arange(39) * 54 / 38
    starts = ops.convert_to_numpy(axis.starts)
    assert starts.shape == (1, 1, 39)
    assert np.abs(starts - even).max() <= 0.5


def test_height_and_width_draw_apart():
    layer = FractionalMaxPooling2D(seed=1)
    rows, columns = layer.find_regions((2, 56, 56, 3), is_random=True)
    assert not np.array_equal(rows.starts, columns.starts)


@pytest.mark.parametrize(
    ("rank", "kind"),
    [(1, KINDS[0]), (2, KINDS[0]), (2, KINDS[5]), (3, KINDS[0])],
)
def test_channels_first_is_the_same_the_other_way_round(rank, kind):
    x = images(*SHAPES[rank])
    last = make(kind, rank, data_format="channels_last")
    expected = ops.convert_to_numpy(last(x, training=True))
    first = make(kind, rank, data_format="channels_first")
    x = np.moveaxis(x, -1, 1)
    output = first(x, training=True)
    np.testing.assert_array_equal(output, np.moveaxis(expected, -1, 1))
    assert tuple(output.shape) == first.compute_output_shape(x.shape)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    ("rank", "kind"), [(2, KINDS[0]), (2, KINDS[7]), (3, KINDS[0])]
)
def test_half_precision_has_the_regions_of_single(dtype, rank, kind, to_numpy):
    x = to_numpy(ops.cast(images(*SHAPES[rank]), dtype))
    x = x.astype("float32")  # what both can represent
    single = make(kind, rank)(x, training=True)
    half = make(kind, rank, dtype=dtype)(x, training=True)
    assert keras.backend.standardize_dtype(half.dtype) == dtype
    np.testing.assert_array_equal(to_numpy(half), to_numpy(single))


@pytest.mark.parametrize("kind", FEW)
def test_height_and_width_may_be_unknown(kind):
    inputs = keras.Input((None, None, 4))
    layer = make(kind)
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, None, None, 4)
    for height, width in ((2, 3), (11, 12)):
        x = images(3, height, width, 4)
        np.testing.assert_array_equal(
            model.predict_on_batch(x), ops.convert_to_numpy(layer(x))
        )


@every_kind
def test_drawn_regions_are_those_of_a_known_size(kind):
    """On TensorFlow, where lengths may be tensors; elsewhere both are known."""
    known = make(kind).find_regions((3, 11, 12, 4), is_random=True)
    shape = [3, 11, 12, 4]
    if keras.backend.backend() == "tensorflow":
        shape[1:3] = map(ops.convert_to_tensor, shape[1:3])
    unknown = make(kind).find_regions(shape, is_random=True)
    for one, other in zip(known, unknown, strict=True):
        np.testing.assert_array_equal(one.starts, other.starts)
        np.testing.assert_array_equal(one.sizes, other.sizes)
        sizes = ops.convert_to_numpy(one.sizes)
        assert other.smallest <= sizes.min()
        assert other.largest >= sizes.max()


def test_an_output_size_is_kept_for_any_height_and_width():
    inputs = keras.Input((None, None, 4))
    layer = FractionalMaxPooling2D(output_size=(6, 9))
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, 6, 9, 4)
    x = images(*SHAPES[2])
    output = model.predict_on_batch(x)
    assert output.shape == (3, 6, 9, 4)
    np.testing.assert_array_equal(output, ops.convert_to_numpy(layer(x)))


def test_ratios_and_sizes_go_axis_by_axis():
    def shape(*arguments, **options):
        layer = FractionalMaxPooling2D(*arguments, **options)
        return layer.compute_output_shape((1, 30, 30, 2))

    assert shape((1.2, 1.5)) == (1, 25, 20, 2)
    assert shape(3, pool_size=(3, 4)) == (1, 10, 10, 2)
    assert shape(output_size=[20, 25]) == (1, 20, 25, 2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"pooling_ratio": 1.5, "output_size": 9}, "or `output_size` must be"),
        (
            {"pooling_ratio": 0.5},
            "`pooling_ratio` must be a number from 1.*0.5",
        ),
        ({"pooling_ratio": float("nan")}, "`pooling_ratio` must be .*nan"),
        ({"pooling_ratio": (1.5, 1.5, 1.5)}, "from 1, or 2 of them"),
        ({"pooling_ratio": 2.5}, "`pooling_ratio` must not exceed `pool_size`"),
        ({"output_size": 0}, "`output_size` must be an integer from 1.*=0"),
        ({"pool_size": (2, 0)}, "`pool_size` must be .*(2, 0)"),
        ({"sequence": "even"}, "`sequence` must be 'pseudorandom' or 'random'"),
        ({"geometry": "jax"}, "`geometry` must be .*'tensorflow'.*'jax'"),
        ({"regions": "channel"}, "`regions` must be 'batch' or 'sample'"),
        ({"inference": None}, "`inference` must be 'fixed' or 'random'.*None"),
        ({"data_format": "NHWC"}, "`data_format` must be 'channels_last' or"),
        ({"geometry": "torch", "sequence": "random"}, "must be 'pseudorandom'"),
        ({"geometry": "torch", "overlapping": False}, "`overlapping` True"),
        ({"geometry": "tensorflow", "pool_size": 3}, "must be left at 2.*=3"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, sentence):
    with pytest.raises(
        ValueError, match=f"FractionalMaxPooling2D: .*{sentence}"
    ):
        FractionalMaxPooling2D(**arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"pooling_ratio": "half"}, "`pooling_ratio` must be a number.*'half'"),
        ({"output_size": 9.5}, "`output_size` must be an integer.*9.5"),
        ({"pool_size": None}, "`pool_size` must be an integer.*None"),
    ],
)
def test_arguments_of_another_kind_are_refused(arguments, sentence):
    with pytest.raises(TypeError, match=sentence):
        FractionalMaxPooling2D(**arguments)


@pytest.mark.parametrize(
    ("length", "arguments", "sentence"),
    [
        (1, {}, "axis of length 1 is shorter than a region"),
        (
            3,
            {"pool_size": 3},
            "length 3 has room for 1 to 1 regions, not for 2",
        ),
        (9, {"pooling_ratio": 1}, "has room for 4 to 8 regions, not for 9"),
        (9, {"output_size": 3}, "has room for 4 to 8 regions, not for 3"),
        (9, {"output_size": 10, "overlapping": False}, "for 4 to 9 .* for 10"),
        (9, {"output_size": 9, "geometry": "torch"}, "for 1 to 8 .* for 9"),
        (9, {"output_size": 10, "geometry": "tensorflow"}, "1 to 9 .* for 10"),
        (1, {"geometry": "tensorflow"}, "for 1 to 1 regions, not for 0"),
    ],
)
def test_inputs_without_room_for_the_regions_are_refused(
    length, arguments, sentence
):
    layer = FractionalMaxPooling1D(**arguments)
    with pytest.raises(ValueError, match=sentence):
        layer(np.zeros((1, length, 1)))
    with pytest.raises(ValueError, match=sentence):
        layer.compute_output_shape((None, length, 1))


def test_limits_of_the_room_are_allowed():
    def shape(length, **arguments):
        layer = FractionalMaxPooling1D(**arguments)
        return layer(np.zeros((1, length, 1)), training=True).shape[1]

    assert shape(2) == 1
    assert shape(3, pool_size=3, output_size=1) == 1
    assert shape(9, output_size=8) == 8
    assert shape(9, output_size=4) == 4
    assert shape(9, output_size=9, overlapping=False) == 9
    assert shape(9, geometry="torch", output_size=1) == 1
    assert shape(9, pooling_ratio=1, geometry="tensorflow") == 9
    assert shape(9, pooling_ratio=9, geometry="tensorflow") == 1


def test_unequal_regions_of_an_unknown_length_need_a_ratio():
    """Only TensorFlow runs with lengths that nobody knows before."""
    layer = FractionalMaxPooling2D(output_size=9, overlapping=False)
    unknown = ops.convert_to_tensor(20)
    sentence = "`output_size` needs an input of known size"
    with pytest.raises(ValueError, match=sentence):
        layer.find_regions((2, unknown, unknown, 3), is_random=False)
