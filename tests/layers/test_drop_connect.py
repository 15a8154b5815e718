import keras
import numpy as np
import pytest

from dropzoo.layers import DropConnect
from dropzoo.layers.connection_masks import draw_mask

every_mask = pytest.mark.parametrize("masks", ["batch", "gaussian"])
every_scale = pytest.mark.parametrize("scale", ["training", "inference"])


@keras.saving.register_keras_serializable(package="tests")
class WithState(keras.layers.Layer):
    """Multiplies, normalises, drops out, and counts its trained calls."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel")
        self.count = self.add_weight(
            shape=(), trainable=False, initializer="zeros", name="count"
        )
        self.scale = self.add_weight(
            shape=(3,), initializer="ones", name="scale"
        )
        policy = self.dtype_policy
        self.normalise = keras.layers.BatchNormalization(
            momentum=0.9, dtype=policy
        )
        self.normalise.build((None, 3))
        self.dropout = keras.layers.Dropout(0.5, seed=3, dtype=policy)
        self.built = True

    def call(self, inputs, training=False):
        if training:
            self.count.assign(self.count + 1)
        x = keras.ops.matmul(inputs, self.kernel) * self.scale
        x = self.normalise(x, training=training)
        return self.dropout(x, training=training)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 3)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@every_mask
@every_scale
def test_pre_activations_have_the_mean_and_variance_of_theory(masks, scale):
    # As many units with equal weights, of which all but the masks is equal.
    many, rate = 20_000, 0.3
    x, weights, bias = normal(1, 5), normal(5, 1, seed=1), 0.5
    wrapper = DropConnect(
        keras.layers.Dense(many), rate, masks=masks, scale=scale, seed=1
    )
    wrapper.build(x.shape)
    kernel = np.repeat(weights, many, axis=1)
    wrapper.layer.set_weights([kernel, np.full(many, bias)])
    values = numpy(wrapper(x, training=True))[0].astype("float64")
    keep = 1 - rate
    kept = 1 / keep if scale == "training" else 1
    mean = keep * kept * (x @ weights).item() + bias
    variance = keep * rate * kept**2 * (x**2 @ weights**2).item()
    # Five standard errors of so many units; sums of coin tosses have thinner
    # tails than normal variables, or nearly so.
    error = 5 * np.sqrt(variance / many)
    assert values.mean() == pytest.approx(mean, abs=error)
    error = 5 * variance * np.sqrt(2 / many)
    assert values.var() == pytest.approx(variance, abs=error)


LAYERS = {
    "Dense": (lambda: keras.layers.Dense(4, "tanh"), (3, 5)),
    "EinsumDense": (
        lambda: keras.layers.EinsumDense("abc,cd->abd", (None, 4)),
        (3, 2, 5),
    ),
    "Conv1D": (lambda: keras.layers.Conv1D(4, 2), (3, 6, 2)),
    "Conv2D": (lambda: keras.layers.Conv2D(4, 2), (3, 5, 4, 2)),
    "Conv3D": (lambda: keras.layers.Conv3D(4, 2), (3, 3, 4, 3, 2)),
    "DepthwiseConv2D": (
        lambda: keras.layers.DepthwiseConv2D(2, depth_multiplier=3),
        (3, 5, 4, 2),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_it_is_the_layer_with_its_kernel_masked(name):
    make, shape = LAYERS[name]
    x = normal(*shape)
    wrapper = DropConnect(make(), 0.3, seed=1)
    output = numpy(wrapper(x, training=True))
    kernel, *others = wrapper.layer.get_weights()
    mask = draw_mask(kernel.shape, 0.3, keras.random.SeedGenerator(1))
    plain = make()
    plain.build(shape)
    plain.set_weights([kernel * numpy(mask) / 0.7, *others])
    np.testing.assert_allclose(output, numpy(plain(x)), atol=1e-5)
    assert (numpy(mask) == 0).any()


@every_mask
def test_rate_zero_and_inference_are_the_layer(masks):
    x = normal(3, 5)
    layer = keras.layers.Dense(4)
    expected = numpy(layer(x))
    nothing = DropConnect(layer, 0, masks=masks)
    np.testing.assert_array_equal(numpy(nothing(x, training=True)), expected)
    half = DropConnect(layer, 0.5, masks=masks)
    np.testing.assert_array_equal(numpy(half(x)), expected)


def test_inference_multiplies_the_kernel_where_training_does_not():
    x = normal(3, 5)
    wrapper = DropConnect(keras.layers.Dense(4), 0.3, scale="inference")
    wrapper.build(x.shape)
    kernel, bias = normal(5, 4, seed=1), normal(4, seed=2)
    wrapper.layer.set_weights([kernel, bias])
    expected = 0.7 * (x @ kernel) + bias
    np.testing.assert_allclose(numpy(wrapper(x)), expected, atol=1e-5)


def test_each_call_draws_anew():
    x = normal(3, 20)
    wrapper = DropConnect(keras.layers.Dense(4), seed=1)
    first, second = (numpy(wrapper(x, training=True)) for _ in range(2))
    assert (first != second).any()


@every_mask
def test_state_moves_in_training_alone(masks):
    x = normal(64, 5)
    wrapper = DropConnect(WithState(), 0.5, masks=masks, seed=1)
    wrapper(x)
    layer = wrapper.layer
    assert layer.count.numpy() == 0
    np.testing.assert_array_equal(layer.normalise.moving_mean.numpy(), 0)
    outputs = [numpy(wrapper(x, training=True)) for _ in range(2)]
    assert layer.count.numpy() == 2
    # The dropout inside draws anew: its random state moved as well.
    assert ((outputs[0] == 0) != (outputs[1] == 0)).any()


def test_statistics_are_those_of_the_masked_kernel():
    x = normal(64, 5)
    wrapper = DropConnect(WithState(), 0.3, seed=1)
    wrapper(x, training=True)
    mask = numpy(draw_mask((5, 3), 0.3, keras.random.SeedGenerator(1)))
    kernel = wrapper.layer.kernel.numpy() * mask / 0.7
    mean = wrapper.layer.normalise.moving_mean.numpy()
    np.testing.assert_allclose(mean, 0.1 * (x @ kernel).mean(0), atol=1e-6)


# PyTorch's compiler uses what PyTorch has deprecated.
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    "jit_compile", [pytest.param(True, marks=pytest.mark.slow(ci=True)), False]
)
def test_state_moves_in_fit(jit_compile):
    wrapper = DropConnect(WithState(), 0.3, seed=1)
    model = keras.Sequential([keras.Input((5,)), wrapper])
    model.compile("sgd", "mse", jit_compile=jit_compile)
    before = model.get_weights()
    model.fit(normal(24, 5), normal(24, 3), batch_size=8, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert (old != new).any()
    assert wrapper.layer.count.numpy() == 3


def test_only_the_output_sees_the_mask():
    x = normal(8, 5)
    wrapper = DropConnect(WithState(), 0.5, seed=1)
    wrapper.build(x.shape)
    before = [v.numpy() for v in wrapper.layer.trainable_variables]
    wrapper(x, training=True)
    for old, variable in zip(
        before, wrapper.layer.trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(variable.numpy(), old)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_variables_are_not_rounded_in_half_precision(policy):
    x = normal(8, 5)
    wrapper = DropConnect(WithState(dtype=policy), 0.5, seed=1)
    wrapper.build(x.shape)
    third = np.full((5, 3), 1 / 3, "float32")
    wrapper.layer.kernel.assign(third)
    wrapper.layer.scale.assign(third[0])
    wrapper.trainable = False  # now they stand where state does
    output = wrapper(x, training=True)
    dtype = keras.backend.standardize_dtype(output.dtype)
    assert dtype == wrapper.compute_dtype == policy.removeprefix("mixed_")
    np.testing.assert_array_equal(wrapper.layer.kernel.numpy(), third)
    np.testing.assert_array_equal(wrapper.layer.scale.numpy(), third[0])


def test_a_frozen_layer_stays_and_still_drops():
    x, y = normal(16, 5), normal(16, 4)
    wrapper = DropConnect(keras.layers.Dense(4), 0.5, seed=1)
    model = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(5), wrapper]
    )
    wrapper.trainable = False
    assert len(model.trainable_variables) == 2
    before = wrapper.layer.get_weights()
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
    for old, new in zip(before, wrapper.layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert (numpy(wrapper(x, training=True)) != numpy(wrapper(x))).any()


def test_the_weights_are_the_layers():
    layer = keras.layers.Dense(4, name="inner")
    layer.build((None, 5))
    kernel = layer.kernel
    wrapper = DropConnect(layer)
    wrapper(normal(2, 5), training=True)
    assert wrapper.layer is layer
    assert layer.kernel is kernel
    assert [id(v) for v in wrapper.weights] == [id(v) for v in layer.weights]


def test_gradients_are_those_of_the_kept_weights():
    x = np.ones((1, 50), "float32")
    wrapper = DropConnect(keras.layers.Dense(1, use_bias=False), 0.3, seed=1)
    model = keras.Sequential([keras.Input((50,)), wrapper])
    model.compile(keras.optimizers.SGD(1.0), lambda _, y: keras.ops.sum(y))
    before = wrapper.layer.get_weights()[0]
    model.train_on_batch(x, np.zeros((1, 1)))
    change = before - wrapper.layer.get_weights()[0]
    mask = draw_mask((50, 1), 0.3, keras.random.SeedGenerator(1))
    np.testing.assert_allclose(change, numpy(mask) / 0.7, atol=1e-6)


def test_losses_are_those_of_the_layer():
    def model(wrap):
        layer = keras.layers.Dense(
            4,
            kernel_initializer="ones",
            kernel_regularizer=keras.regularizers.L2(0.1),
            activity_regularizer=keras.regularizers.L1(0.1),
        )
        model = keras.Sequential([keras.Input((5,)), wrap(layer)])
        model.compile(
            keras.optimizers.SGD(0.0), lambda _, y: 0 * keras.ops.sum(y)
        )
        return model

    x = np.ones((1, 5), "float32")
    plain, wrapped = (
        model(wrap).train_on_batch(x, np.zeros((1, 4)))
        for wrap in (
            lambda layer: layer,
            # So small a rate drops nothing.
            lambda layer: DropConnect(layer, 1e-12, seed=1),
        )
    )
    # 0.1 for each of 20 weights of 1, and 0.1 for each of 4 outputs of 5.
    assert plain == pytest.approx(4)
    assert wrapped == pytest.approx(plain)


def test_steps_that_are_masked_out_stay_so():
    x = np.concatenate([normal(2, 3, 4), np.zeros((2, 2, 4))], axis=1)
    inner = keras.layers.Dense(3)
    model = keras.Sequential(
        [
            keras.Input((5, 4)),
            keras.layers.Masking(),
            DropConnect(inner),
            keras.layers.GlobalAveragePooling1D(),
        ]
    )
    expected = numpy(inner(x))[:, :3].mean(axis=1)
    np.testing.assert_allclose(numpy(model(x)), expected, atol=1e-6)


def test_a_saved_model_comes_back_with_a_layer_of_ones_own(tmp_path):
    wrapper = DropConnect(WithState(), 0.3, masks="gaussian", seed=4, name="w")
    model = keras.Sequential([keras.Input((5,)), wrapper])
    model.compile("sgd", "mse")
    model.fit(normal(8, 5), normal(8, 3), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    restored = again.get_layer("w")
    assert isinstance(restored.layer, WithState)
    assert restored.get_config()["masks"] == "gaussian"
    for old, new in zip(wrapper.weights, restored.weights, strict=True):
        assert old.path.split("/")[-1] == new.path.split("/")[-1]
        np.testing.assert_array_equal(old.numpy(), new.numpy())
    x = normal(4, 5)
    np.testing.assert_array_equal(numpy(again(x)), numpy(model(x)))


def test_a_layer_without_a_kernel_is_refused():
    with pytest.raises(ValueError, match="variable called `kernel`.*Flatten"):
        DropConnect(keras.layers.Flatten()).build((None, 5))
    adapted = keras.layers.Dense(3)
    adapted.build((None, 5))
    adapted.enable_lora(1)
    with pytest.raises(ValueError, match="variable called `kernel`.*Dense"):
        DropConnect(adapted)(normal(2, 5))


def test_what_is_no_layer_is_refused():
    with pytest.raises(
        TypeError, match="`layer` must be a Keras layer.*'relu'"
    ):
        DropConnect("relu")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"rate": 1.0}, r"DropConnect: `rate` must be in \[0, 1\).*rate=1.0"),
        ({"masks": "example"}, "`masks` must be 'batch' or 'gaussian'"),
        ({"scale": "never"}, "`scale` must be 'training' or .*'never'"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        DropConnect(keras.layers.Dense(3), **arguments)
