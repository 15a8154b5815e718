import keras
import numpy as np
import pytest

from dropzoo.layers import StochasticResidual

FEATURES = 3
HALF = ["mixed_float16", "mixed_bfloat16"]
# Of `jit_compile`: what makes a graph and is quick. JAX has none without.
GRAPH = keras.backend.backend() == "jax"
# PyTorch's compiler takes minutes, and calls the layer as eager code does.
JIT = keras.backend.backend() != "torch"
LATER = pytest.mark.slow(ci=True)
with_and_without_jit = pytest.mark.parametrize(
    "jit_compile", [False] + [pytest.param(True, marks=LATER)] * JIT
)


@keras.saving.register_keras_serializable(package="tests")
class CountCalls(keras.layers.Layer):
    """Hands on its input and counts how often it was computed."""

    def build(self, input_shape):
        self.count = self.add_weight(
            shape=(), initializer="zeros", trainable=False, autocast=False
        )

    def call(self, inputs):
        self.count.assign(self.count + 1)
        return inputs


@keras.saving.register_keras_serializable(package="tests")
class SumUp(keras.layers.Layer):
    """Hands on its input and sums up its mean, call by call."""

    def build(self, input_shape):
        self.total = self.add_weight(
            shape=(), initializer="zeros", trainable=False, autocast=False
        )

    def call(self, inputs):
        mean = keras.ops.mean(keras.ops.cast(inputs, "float32"))
        self.total.assign(self.total + mean)
        return inputs


def parts(seed=1):
    """Layers with every kind of state: weights, statistics, streams, counts."""
    return [
        # The mean that is taken off after it would leave a bias no gradient.
        keras.layers.Dense(FEATURES, use_bias=False),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5, seed=seed),
        CountCalls(),
    ]


def sequential_branch():
    return keras.Sequential(parts())


def functional_branch():
    x = inputs = keras.Input((FEATURES,))
    for layer in parts():
        x = layer(x)
    return keras.Model(inputs, x)


def model_of(branch, rate=0.5, seed=7, **options):
    """A network around one block; the first layer moves at every step."""
    inputs = keras.Input((FEATURES,))
    x = keras.layers.Dense(FEATURES, name="before")(inputs)
    x = StochasticResidual(
        branch, rate=rate, seed=seed, name="block", **options
    )(x)
    return keras.Model(inputs, keras.layers.Dense(1)(x))


def data(count=8, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, FEATURES)).astype("float32")
    return x, x.sum(axis=1, keepdims=True)


@pytest.fixture
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def state_of(layer):
    """Everything that a layer holds, random streams included."""
    return {
        f"{index} {variable.path}": keras.ops.convert_to_numpy(variable.value)
        for index, variable in enumerate(layer.variables)
    }


def moved(before, after):
    return {
        name
        for name, value in before.items()
        if not np.array_equal(value, after[name])
    }


def check_that_steps_skip_exactly(model, steps=14):
    """Trains step by step: all of a branch's state moves, or none of it."""
    x, y = data()
    branch = model.get_layer("block").branch
    first = model.get_layer("before")
    computed = 0
    for _ in range(steps):
        was, first_was = state_of(branch), state_of(first)
        model.train_on_batch(x, y)
        changed = moved(was, state_of(branch))
        assert changed in (set(), was.keys())
        assert moved(first_was, state_of(first))
        computed += bool(changed)
    # All gates alike would have a chance of 1 in 8,000, at any seed.
    assert 0 < computed < steps


def compiled_model(model, **options):
    # No momentum: a weight without a gradient stays where it is.
    optimizer = keras.optimizers.SGD(0.01)
    if keras.config.dtype_policy().name == "mixed_float16":
        # From 32,768, Keras's own start, the first steps would overflow.
        optimizer = keras.optimizers.LossScaleOptimizer(
            optimizer, initial_scale=1024
        )
    model.compile(optimizer, "mse", **options)
    return model


@pytest.mark.parametrize(
    ("policy", "jit_compile"),
    [
        pytest.param("float32", JIT, marks=LATER),
        ("float32", False),
        pytest.param("mixed_float16", JIT, marks=LATER),
        # JAX would compile each operation by itself.
        *([] if GRAPH else [("mixed_float16", False)]),
        pytest.param("mixed_bfloat16", GRAPH, marks=LATER),
    ],
    indirect=["policy"],
)
def test_a_skipped_branch_keeps_all_its_state(policy, jit_compile):
    model = compiled_model(
        model_of(sequential_branch()), jit_compile=jit_compile
    )
    check_that_steps_skip_exactly(model)


@with_and_without_jit
def test_a_functional_branch_is_skipped_after_reloading(jit_compile, tmp_path):
    model = model_of(functional_branch())
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x, _ = data()
    np.testing.assert_array_equal(
        again.predict(x, verbose=0), model.predict(x, verbose=0)
    )
    check_that_steps_skip_exactly(
        compiled_model(again, jit_compile=jit_compile)
    )


def test_an_eager_step_skips_and_gives_gradients_of_zero():
    # Warnings are errors: the optimizer would warn of gradients of None.
    model = compiled_model(model_of(sequential_branch()), run_eagerly=True)
    check_that_steps_skip_exactly(model)


def test_weights_load_into_the_same_structure(tmp_path):
    first, second = (model_of(sequential_branch()) for _ in range(2))
    first.save_weights(tmp_path / "model.weights.h5")
    second.load_weights(tmp_path / "model.weights.h5")
    for weight, expected in zip(second.weights, first.weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), expected.numpy())


@pytest.mark.parametrize(
    ("scale", "jit_compile"), [("training", JIT), ("inference", GRAPH)]
)
def test_the_branch_runs_as_often_as_it_is_kept(scale, jit_compile):
    steps, keep = 400, 0.7
    # The branch gives 2 where the shortcut gives 1.
    branch = keras.Sequential([keras.layers.Rescaling(2.0), CountCalls()])
    inputs = keras.Input((1,))
    block = StochasticResidual(branch, rate=1 - keep, scale=scale, seed=3)
    total = SumUp()
    outputs = keras.layers.Dense(1)(total(block(inputs)))
    model = compiled_model(
        keras.Model(inputs, outputs), jit_compile=jit_compile
    )
    ones = np.ones((steps, 1), "float32")
    model.fit(ones, ones, batch_size=1, verbose=0)
    count = float(branch.layers[1].count.numpy())
    # Five standard errors of so many draws.
    error = 5 * np.sqrt(steps * keep * (1 - keep))
    assert count == pytest.approx(steps * keep, abs=error)
    # Only what was computed is in the sum, and by expectation it is what
    # inference gives.
    height = 2 / keep if scale == "training" else 2
    mean = float(total.total.numpy()) / steps
    assert mean == pytest.approx(1 + height * count / steps, rel=1e-4)
    inference = keras.ops.convert_to_numpy(block(ones[:1]))[0, 0]
    assert inference == pytest.approx(3 if scale == "training" else 2.4)
    assert mean == pytest.approx(inference, abs=height * error / steps)


def test_the_output_is_the_formula(to_numpy):
    x = np.array([[1.0, -2.0], [-3.0, 4.0]], "float32")
    block = StochasticResidual(
        keras.layers.Rescaling(-3.0),
        keras.layers.Rescaling(0.5),
        rate=0.25,
        activation="relu",
        seed=1,
    )
    skipped, kept = 0.5 * x, 0.5 * x - 3 * x / 0.75
    outputs = [to_numpy(block(x, training=True)) for _ in range(40)]
    gates = [(y == np.maximum(skipped, 0)).all() for y in outputs]
    assert 0 < sum(gates) < 40
    for y, skip in zip(outputs, gates, strict=True):
        expected = np.maximum(skipped if skip else kept, 0)
        np.testing.assert_allclose(y, expected, rtol=1e-6)
    expected = np.maximum(-2.5 * x, 0)
    np.testing.assert_allclose(to_numpy(block(x)), expected, rtol=1e-6)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("scale", ["training", "inference"])
def test_rate_zero_is_a_plain_residual_block(training, scale, to_numpy):
    x, _ = data()
    branch = keras.layers.Dense(FEATURES)
    block = StochasticResidual(branch, rate=0, scale=scale)
    y = to_numpy(block(x, training=training))
    np.testing.assert_allclose(y, x + to_numpy(branch(x)), rtol=1e-6)


def test_the_gradient_is_that_of_what_was_computed(gradient, to_numpy):
    x, _ = data()
    slopes = set()
    for seed in range(12):
        block, twin = (
            StochasticResidual(keras.layers.Rescaling(2.0), rate=0.5, seed=seed)
            for _ in range(2)
        )
        y = to_numpy(block(x, training=True))
        twin(x)
        slope = gradient(lambda x, f=twin: f(x, training=True), x)
        np.testing.assert_allclose(slope * x, y, rtol=1e-5)
        slopes.update(np.unique(slope))
    assert slopes == {1, 5}


@pytest.mark.parametrize("policy", HALF, indirect=True)
def test_frozen_weights_are_not_rounded_to_half(policy):
    branch = sequential_branch()
    model = model_of(branch)
    branch.trainable = False
    kernel = branch.layers[0].kernel
    before = kernel.numpy()
    assert (before != before.astype("float16")).any()
    compiled_model(model, jit_compile=GRAPH)
    count = branch.layers[3].count
    x, y = data()
    for _ in range(12):
        model.train_on_batch(x, y)
    assert float(count.numpy()) > 1
    np.testing.assert_array_equal(kernel.numpy(), before)
    # Frozen: the statistics stay, while random streams go on.
    np.testing.assert_array_equal(branch.layers[1].moving_mean.numpy(), 0)


@pytest.mark.parametrize("policy", HALF, indirect=True)
def test_a_branch_of_another_policy_computes_in_its_own(policy):
    seen = []

    @keras.saving.register_keras_serializable(package="tests")
    class Look(keras.layers.Dense):
        def call(self, inputs, training=False):
            seen.append((inputs.dtype, self.kernel.dtype))
            return super().call(inputs)

    block = StochasticResidual(
        Look(FEATURES, dtype="float32"), rate=0.5, seed=1
    )
    x, _ = data()
    outputs = [block(x, training=True) for _ in range(8)]
    kinds = {keras.backend.standardize_dtype(kind) for kind in sum(seen, ())}
    assert kinds == {"float32"}
    kinds = {keras.backend.standardize_dtype(y.dtype) for y in outputs}
    assert kinds == {policy.removeprefix("mixed_")}


@with_and_without_jit
def test_losses_in_the_branch_count_where_it_is_computed(jit_compile):
    branch = keras.Sequential(
        [
            # Weighs 3: its input is 1, and activity is summed over a batch of
            # one. The kernel's penalty is 0.5 * 2**2 = 2, computed or not.
            keras.layers.ActivityRegularization(l1=3.0),
            keras.layers.Dense(
                1, kernel_initializer="ones", kernel_regularizer=None
            ),
            CountCalls(),
        ]
    )
    plain = keras.layers.Dense(1, activity_regularizer="l1")
    inputs = keras.Input((1,))
    block = StochasticResidual(branch, rate=0.5, seed=2)
    model = keras.Model(inputs, plain(block(inputs)))
    plain.set_weights([np.zeros((1, 1)), np.full(1, 10.0)])
    branch.layers[1].kernel.regularizer = keras.regularizers.L2(0.5)
    branch.layers[1].kernel.assign([[2.0]])
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=jit_compile)
    one, ten = np.ones((1, 1), "float32"), np.full((1, 1), 10, "float32")
    losses = set()
    for _ in range(10):
        before = float(branch.layers[2].count.numpy())
        loss = float(model.train_on_batch(one, ten))
        computed = float(branch.layers[2].count.numpy()) - before
        # 0.01 * 10 of the layer behind, which Keras must not count twice.
        assert loss == pytest.approx(2 + 0.1 + 3 * computed, rel=1e-5)
        losses.add(computed)
    assert losses == {0, 1}


def test_a_block_within_the_branch_of_another_is_skipped_with_it():
    inner = StochasticResidual(
        keras.Sequential(parts(seed=2)), rate=0.5, seed=12, name="inner"
    )
    outer_count, inner_count = CountCalls(), inner.branch.layers[3]
    branch = keras.Sequential([inner, outer_count])
    model = compiled_model(model_of(branch, seed=11), jit_compile=JIT)
    x, y = data()
    seen = set()
    for _ in range(24):
        outer_was = float(outer_count.count.numpy())
        inner_was = float(inner_count.count.numpy())
        was = state_of(branch)
        model.train_on_batch(x, y)
        outer = float(outer_count.count.numpy()) - outer_was
        deeper = float(inner_count.count.numpy()) - inner_was
        assert bool(outer) == bool(moved(was, state_of(branch)))
        seen.add((outer, deeper))
    assert seen == {(0, 0), (1, 0), (1, 1)}


def test_blocks_may_share_a_branch():
    branch = sequential_branch()
    inputs = keras.Input((FEATURES,))
    x = StochasticResidual(branch, rate=0.5, seed=1, name="first")(inputs)
    x = StochasticResidual(branch, rate=0.5, seed=2, name="second")(x)
    model = compiled_model(keras.Model(inputs, x), jit_compile=GRAPH)
    count = branch.layers[3].count
    steps = []
    for _ in range(16):
        before = float(count.numpy())
        model.train_on_batch(*data())
        steps.append(float(count.numpy()) - before)
    assert set(steps) == {0, 1, 2}


def test_blocks_of_other_seeds_have_gates_of_their_own(to_numpy):
    ones = np.ones((1, 1), "float32")

    def gates(seed):
        block = StochasticResidual(
            keras.layers.Rescaling(1.0), rate=0.5, seed=seed
        )
        return [to_numpy(block(ones, training=True))[0, 0] for _ in range(24)]

    assert gates(1) == gates(1)
    assert gates(1) != gates(2)


def test_a_layer_that_has_no_build_is_built_outside_the_gate():
    @keras.saving.register_keras_serializable(package="tests")
    class Branch(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = keras.layers.Dense(FEATURES)

        def call(self, inputs):
            return self.dense(inputs)

    x, _ = data()
    block = StochasticResidual(Branch(), rate=0.5, seed=1)
    assert block(x, training=True).shape == x.shape
    assert len(block.trainable_weights) == 2


def test_a_shortcut_changes_the_shape_with_the_branch(to_numpy):
    maps = np.random.default_rng(0).normal(size=(2, 6, 4, 3)).astype("float32")
    block = StochasticResidual(
        keras.layers.Conv2D(5, 3, strides=2, padding="same"),
        keras.layers.Conv2D(5, 1, strides=2),
        rate=0.5,
        seed=1,
    )
    assert block.compute_output_shape((None, None, 4, 3)) == (None, None, 2, 5)
    assert block(keras.Input((None, None, 3))).shape == (None, None, None, 5)
    for training in (True, False):
        assert block(maps, training=training).shape == (2, 3, 2, 5)
    weights = [weight.path.split("/")[-2:] for weight in block.weights]
    assert len(weights) == 4


def test_other_shapes_of_branch_and_shortcut_are_refused_by_name():
    x = keras.Input((6, 4, 3))
    for branch, shortcut, sentence in (
        (
            keras.layers.Conv2D(5, 3, strides=2, padding="same"),
            None,
            r"branch \(None, 3, 2, 5\), shortcut \(None, 6, 4, 3\)",
        ),
        (
            keras.layers.Conv2D(5, 3, padding="same"),
            keras.layers.Conv2D(6, 1),
            r"branch \(None, 6, 4, 5\), shortcut \(None, 6, 4, 6\)",
        ),
        (
            keras.layers.Flatten(),
            None,
            r"branch \(None, 72\), shortcut \(None, 6, 4, 3\)",
        ),
    ):
        block = StochasticResidual(branch, shortcut, rate=0.5)
        with pytest.raises(ValueError, match=f"`shortcut` must .*{sentence}"):
            block(x)


def test_a_mask_goes_past_the_branch():
    x = np.array([[1, 2, 0], [3, 0, 0]])
    inputs = keras.Input((3,), dtype="int32")
    embedded = keras.layers.Embedding(5, 4, mask_zero=True)(inputs)
    block = StochasticResidual(
        keras.layers.TimeDistributed(keras.layers.Dense(4)), rate=0.5
    )
    # The mean over what is not masked.
    pooled = keras.layers.GlobalAveragePooling1D()(block(embedded))
    model = keras.Model(inputs, [block.output, pooled])
    maps, mean = model.predict(x, verbose=0)
    np.testing.assert_allclose(mean[0], maps[0, :2].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(mean[1], maps[1, 0], rtol=1e-5)


def test_what_is_not_finite_is_not_hidden_where_it_is_computed(to_numpy):
    x = np.array([[np.inf, np.nan, 1.0]], "float32")
    block = StochasticResidual(keras.layers.Rescaling(-1.0), rate=0.5, seed=1)
    outputs = [to_numpy(block(x, training=True))[0] for _ in range(24)]
    # -inf + inf is nan where the branch was computed, and x where not.
    assert {str(y[0]) for y in outputs} == {"inf", "nan"}
    assert all(np.isnan(y[1]) for y in outputs)


def test_an_activation_of_ones_own_is_saved():
    @keras.saving.register_keras_serializable(package="tests")
    def halved(x):
        return x / 2

    block = StochasticResidual(
        keras.layers.Dense(2), rate=0.5, activation=halved
    )
    again = StochasticResidual.from_config(block.get_config())
    assert again.activation is halved
    assert again.get_config() == block.get_config()


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        ({"branch": len}, TypeError, "`branch` must be a Keras layer .*len"),
        ({"shortcut": "id"}, TypeError, "`shortcut` must be .*shortcut='id'"),
        ({"rate": 1}, ValueError, r"`rate` must be in \[0, 1\).*rate=1"),
        ({"rate": -0.1}, ValueError, "`rate` must be in .*rate=-0.1"),
        ({"rate": float("nan")}, ValueError, "`rate` must be in .*rate=nan"),
        ({"scale": "never"}, ValueError, "`scale` must be .*scale='never'"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, kind, sentence):
    with pytest.raises(kind, match=sentence):
        StochasticResidual(
            **{"branch": keras.layers.Dense(2), "rate": 0.5, **arguments}
        )
