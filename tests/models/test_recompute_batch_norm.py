import keras
import numpy as np
import pytest

from dropzoo.layers import DropBlock2D, StochasticResidual
from dropzoo.models import recompute_batch_norm
from dropzoo.models.recompute_batch_norm import thawed_batch_norms

RNG = np.random.default_rng(0)
BATCHES = [
    RNG.normal(mean, spread, (size, 5, 4, 3)).astype("float32")
    for mean, spread, size in [(0, 1, 8), (2, 3, 8), (-1, 0.5, 6), (5, 2, 3)]
]


def statistics(layer):
    return np.array(
        [
            keras.ops.convert_to_numpy(layer.moving_mean),
            keras.ops.convert_to_numpy(layer.moving_variance),
        ]
    )


def moments(batches):
    """Means and variances of each batch, averaged over the batches."""
    return np.array(
        [
            np.mean([x.mean(axis=(0, 1, 2)) for x in batches], axis=0),
            np.mean([x.var(axis=(0, 1, 2)) for x in batches], axis=0),
        ]
    )


def sequential(*layers, **options):
    return keras.Sequential([keras.Input((5, 4, 3)), *layers], **options)


def assert_equal(values, expected):
    for value, right in zip(values, expected, strict=True):
        np.testing.assert_array_equal(value, right)


def test_statistics_are_the_averages_over_batches_of_any_size():
    layer = keras.layers.BatchNormalization(momentum=0.9)
    recompute_batch_norm(sequential(layer), BATCHES)
    np.testing.assert_allclose(statistics(layer), moments(BATCHES), rtol=1e-5)
    assert layer.momentum == 0.9
    assert "call" not in vars(layer)


def test_a_deeper_layer_sees_what_the_one_before_gives_in_training():
    second = keras.layers.BatchNormalization()
    model = sequential(keras.layers.BatchNormalization(epsilon=0.1), second)
    recompute_batch_norm(model, BATCHES)
    normalized = [
        (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 0.1)
        for x in BATCHES
    ]
    np.testing.assert_allclose(
        statistics(second), moments(normalized), atol=1e-6
    )


def test_the_training_afterwards_moves_the_statistics_as_before():
    layer = keras.layers.BatchNormalization(momentum=0.9)
    model = sequential(layer)
    recompute_batch_norm(model, BATCHES)
    before = statistics(layer)
    model(BATCHES[1], training=True)
    expected = 0.9 * before + 0.1 * moments(BATCHES[1:2])
    np.testing.assert_allclose(statistics(layer), expected, rtol=1e-5)


def test_nothing_remains_of_statistics_that_overflowed():
    layer = keras.layers.BatchNormalization()
    model = sequential(layer)
    layer.moving_mean.assign([np.nan, np.inf, -np.inf])
    layer.moving_variance.assign([np.nan, np.inf, 1])
    recompute_batch_norm(model, BATCHES)
    np.testing.assert_allclose(statistics(layer), moments(BATCHES), rtol=1e-5)


def test_recomputing_again_changes_nothing():
    layer = keras.layers.BatchNormalization()
    model = sequential(layer)
    recompute_batch_norm(model, BATCHES[:1])
    once = statistics(layer)
    recompute_batch_norm(model, BATCHES[:1])
    np.testing.assert_array_equal(statistics(layer), once)
    recompute_batch_norm(model, BATCHES)
    np.testing.assert_allclose(statistics(layer), moments(BATCHES), rtol=1e-5)


def test_each_call_of_a_shared_layer_counts():
    shared = keras.layers.BatchNormalization()
    left, right = keras.Input((5, 4, 3)), keras.Input((5, 4, 3))
    outputs = keras.layers.Add()([shared(left), shared(right)])
    model = keras.Model([left, right], outputs)
    pairs = [([BATCHES[0], BATCHES[1]], None), ([BATCHES[1]] * 2, None)]
    recompute_batch_norm(model, pairs)
    expected = moments([BATCHES[0], *[BATCHES[1]] * 3])
    np.testing.assert_allclose(statistics(shared), expected, rtol=1e-5)


def test_frozen_layers_are_left_alone_in_inner_models_too():
    frozen = keras.layers.BatchNormalization()
    inner = sequential(frozen)
    last = keras.layers.BatchNormalization()
    model = sequential(inner, last)
    frozen.moving_mean.assign([1, 2, 3])
    inner.trainable = False
    before = statistics(frozen)
    assert thawed_batch_norms(model) == [last]
    recompute_batch_norm(model, BATCHES)
    np.testing.assert_array_equal(statistics(frozen), before)
    assert not np.array_equal(statistics(last), [[0] * 3, [1] * 3])


class InInference(keras.layers.Layer):
    """Calls a layer as at inference; a functional model cannot hold to it."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, inputs):
        return self.layer(inputs, training=False)


def test_layers_called_in_inference_mode_are_left_alone():
    quiet, loud = (keras.layers.BatchNormalization() for _ in range(2))
    model = sequential(InInference(quiet), loud)
    quiet.moving_mean.assign([1, 2, 3])
    quiet.moving_variance.assign([4, 5, 6])
    before = statistics(quiet)
    recompute_batch_norm(model, BATCHES)
    np.testing.assert_array_equal(statistics(quiet), before)
    deviation = np.sqrt(np.array([4, 5, 6]) + quiet.epsilon)
    seen = [(x - [1, 2, 3]) / deviation for x in BATCHES]
    np.testing.assert_allclose(statistics(loud), moments(seen), rtol=1e-4)


def test_batches_that_skip_a_branch_do_not_count_for_it():
    layer = keras.layers.BatchNormalization()
    block = StochasticResidual(sequential(layer), rate=0.5, seed=0)
    recompute_batch_norm(sequential(block), BATCHES)
    # Not all and not none, with this seed.
    subsets = [
        [x for i, x in enumerate(BATCHES) if bits >> i & 1]
        for bits in range(1, 15)
    ]
    assert any(
        np.allclose(statistics(layer), moments(subset), rtol=1e-5)
        for subset in subsets
    )


def test_random_streams_counters_and_weights_do_not_move():
    model = sequential(
        keras.layers.Dropout(0.5, seed=1),
        DropBlock2D(0.3, block_size=2, warmup_steps=9, seed=2),
        keras.layers.Conv2D(4, 1),
        keras.layers.BatchNormalization(),
    )
    moving = {id(v) for v in model.layers[-1].non_trainable_variables}
    still = [v for v in model.variables if id(v) not in moving]
    assert len(still) >= 6
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in still]
    recompute_batch_norm(model, BATCHES)
    assert_equal([keras.ops.convert_to_numpy(v) for v in still], before)


def test_what_fails_in_the_middle_leaves_the_model_as_it_was():
    layer = keras.layers.BatchNormalization(momentum=0.9)
    model = sequential(layer)

    def failing():
        yield BATCHES[0]
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        recompute_batch_norm(model, failing())
    np.testing.assert_array_equal(statistics(layer), [[0] * 3, [1] * 3])
    assert layer.momentum == 0.9
    assert "call" not in vars(layer)


def test_half_precision_leaves_the_statistics_in_float32():
    layer = keras.layers.BatchNormalization(dtype="mixed_float16")
    recompute_batch_norm(sequential(layer), BATCHES)
    np.testing.assert_allclose(statistics(layer), moments(BATCHES), rtol=1e-2)


def test_batches_come_from_tf_data_and_from_keras():
    import tensorflow as tf

    class Indexed(keras.utils.PyDataset):
        num_batches = 2

        def __getitem__(self, index):
            return BATCHES[index % 2], np.zeros(len(BATCHES[index % 2]))

    dataset = tf.data.Dataset.from_tensor_slices(np.concatenate(BATCHES[:2]))
    for batches in (dataset.batch(8), Indexed()):
        layer = keras.layers.BatchNormalization()
        recompute_batch_norm(sequential(layer), batches)
        expected = moments(BATCHES[:2])
        np.testing.assert_allclose(statistics(layer), expected, rtol=1e-5)


def test_without_such_layers_nothing_is_read():
    recompute_batch_norm(sequential(keras.layers.Conv2D(2, 1)), [])


def test_no_batches_are_refused():
    model = sequential(keras.layers.BatchNormalization())
    with pytest.raises(ValueError, match="`batches` must hold at least one"):
        recompute_batch_norm(model, iter(()))


def test_renormalization_is_refused():
    layer = keras.layers.BatchNormalization(renorm=True, name="again")
    with pytest.raises(ValueError, match="renorm=True in again"):
        recompute_batch_norm(sequential(layer), BATCHES)


@pytest.mark.torch
def test_pytorch_finds_the_same():
    """Its moving variance is the unbiased one, Keras's the biased."""
    torch = pytest.importorskip("torch")
    from torch.optim.swa_utils import update_bn

    batches = [x for x in BATCHES if len(x) == 8]
    layers = [keras.layers.BatchNormalization(epsilon=1e-3) for _ in range(2)]
    model = sequential(layers[0], keras.layers.ReLU(), layers[1])
    recompute_batch_norm(model, batches)

    norms = [torch.nn.BatchNorm2d(3, eps=1e-3) for _ in range(2)]
    twin = torch.nn.Sequential(norms[0], torch.nn.ReLU(), norms[1])
    channels_first = [np.moveaxis(x, -1, 1).copy() for x in batches]
    update_bn([torch.tensor(x) for x in channels_first], twin)
    cells = batches[0][..., 0].size
    for layer, norm in zip(layers, norms, strict=True):
        mean, variance = statistics(layer)
        np.testing.assert_allclose(mean, norm.running_mean, atol=1e-6)
        np.testing.assert_allclose(
            variance * cells / (cells - 1), norm.running_var, rtol=1e-5
        )
