import keras
import numpy as np
import pytest
from keras import layers

from dropzoo import schedules
from dropzoo.models import LayerwiseAdamW, depth_factors
from dropzoo.models.recompiling import carry_over
from dropzoo.schedules.named import BUILDERS

FACTORS = (0.0, 0.1, 0.5, 1.0)
RATE, DECAY = 0.01, 0.3


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(3, 2)).astype("float32") for _ in FACTORS]


@pytest.fixture
def gradients():
    rng = np.random.default_rng(1)
    return [
        [rng.normal(size=(3, 2)).astype("float32") for _ in FACTORS]
        for _ in range(5)
    ]


def trained(optimizer, values, gradients):
    """Values after one step for each set of gradients."""
    variables = [keras.Variable(value) for value in values]
    for step in gradients:
        optimizer.apply(list(map(keras.ops.array, step)), variables)
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def test_the_first_step_is_that_of_the_formula(values, gradients):
    optimizer = LayerwiseAdamW(FACTORS, RATE, weight_decay=DECAY)
    new = trained(optimizer, values, gradients[:1])
    for factor, w, g, result in zip(
        FACTORS, values, gradients[0], new, strict=True
    ):
        # Adam's first step is nearly the gradient's sign: beta_1 cancels, and
        # beta_2 = 0.999 is left beside epsilon = 1e-7.
        root = np.sqrt(1 - 0.999)
        step = root * g / (root * np.abs(g) + 1e-7)
        expected = w * (1 - factor * RATE * DECAY) - factor * RATE * step
        np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"weight_decay": DECAY}, marks=pytest.mark.slow(ci=True)),
        {"weight_decay": DECAY, "amsgrad": True, "beta_1": 0.5},
        {"weight_decay": DECAY, "clipnorm": 0.1},
        {"weight_decay": DECAY, "gradient_accumulation_steps": 2},
    ],
)
def test_each_variable_moves_as_under_its_own_rate(values, gradients, options):
    new = trained(LayerwiseAdamW(FACTORS, RATE, **options), values, gradients)
    for position, factor in enumerate(FACTORS):
        (expected,) = trained(
            keras.optimizers.AdamW(factor * RATE, **options),
            [values[position]],
            [[step[position]] for step in gradients],
        )
        np.testing.assert_allclose(new[position], expected, rtol=1e-5)


def test_factor_zero_holds_a_variable_still(values, gradients):
    optimizer = LayerwiseAdamW(FACTORS, RATE, weight_decay=DECAY)
    new = trained(optimizer, values, gradients)
    np.testing.assert_array_equal(new[0], values[0])


def test_a_schedule_is_followed_by_every_variable(values, gradients):
    schedule = keras.optimizers.schedules.CosineDecay(RATE, 4)
    new = trained(LayerwiseAdamW(FACTORS, schedule), values, gradients)
    for position, factor in enumerate(FACTORS):
        scaled = keras.optimizers.schedules.CosineDecay(factor * RATE, 4)
        (expected,) = trained(
            keras.optimizers.AdamW(scaled),
            [values[position]],
            [[step[position]] for step in gradients],
        )
        np.testing.assert_allclose(new[position], expected, rtol=1e-5)


def test_the_rate_can_be_read_and_set(values, gradients):
    optimizer = LayerwiseAdamW(FACTORS, RATE)
    assert float(optimizer.learning_rate) == np.float32(RATE)
    optimizer.learning_rate = 0.0
    new = trained(optimizer, values, gradients)
    for old, result in zip(values, new, strict=True):
        np.testing.assert_array_equal(result, old)


def test_variables_may_be_spared_weight_decay(values, gradients):
    def train(optimizer):
        variables = [keras.Variable(x, name=f"v{i}") for i, x in named]
        optimizer.exclude_from_weight_decay(var_names=["v2"])
        optimizer.apply(list(map(keras.ops.array, gradients[0])), variables)
        return [keras.ops.convert_to_numpy(variable) for variable in variables]

    named = list(enumerate(values))
    ones = [1.0] * len(values)
    new = train(LayerwiseAdamW(ones, RATE, weight_decay=DECAY))
    expected = train(keras.optimizers.AdamW(RATE, weight_decay=DECAY))
    for result, other in zip(new, expected, strict=True):
        np.testing.assert_allclose(result, other, rtol=1e-6)


def small_model(**options):
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(2)]
    )
    schedule = keras.optimizers.schedules.CosineDecay(0.05, 40)
    model.compile(
        LayerwiseAdamW([0.1, 0.2, 0.5, 1.0], schedule, weight_decay=DECAY),
        "mse",
        **options,
    )
    return model


def fit(model, steps):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(16, 4)).astype("float32")
    for _ in range(steps):
        model.train_on_batch(x, x[:, :2])
    return model.get_weights()


def test_training_goes_on_to_the_bit_after_save_and_load(tmp_path):
    model = small_model()
    fit(model, 3)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.optimizer.get_config() == model.optimizer.get_config()
    for left, right in zip(fit(model, 3), fit(again, 3), strict=True):
        np.testing.assert_array_equal(left, right)


def test_it_trains_in_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = small_model()
        before = model.get_weights()
        after = fit(model, 3)
    finally:
        keras.config.set_dtype_policy("float32")
    scaler = model.optimizer
    assert isinstance(scaler, keras.optimizers.LossScaleOptimizer)
    assert isinstance(scaler.inner_optimizer, LayerwiseAdamW)
    moved = [
        np.abs(new - old).mean() for old, new in zip(before, after, strict=True)
    ]
    assert all(step > 0 for step in moved) and np.isfinite(moved).all()
    # Kernels: a tenth of the rate against half of it.
    assert moved[2] > 3 * moved[0]


def test_it_comes_back_from_its_config():
    optimizer = LayerwiseAdamW([0.5, 1.0], RATE, weight_decay=DECAY)
    again = LayerwiseAdamW.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    assert again.get_config()["factors"] == [0.5, 1.0]


@pytest.mark.parametrize("number", [1, 3])
def test_another_number_of_factors_is_refused(number):
    variables = [keras.Variable([1.0]), keras.Variable([1.0])]
    with pytest.raises(ValueError, match=f"{number} factors for 2 variables"):
        LayerwiseAdamW([1.0] * number).build(variables)


@pytest.mark.parametrize("factors", [[1.0, -0.1], [float("nan")]])
def test_a_negative_factor_is_refused(factors):
    with pytest.raises(ValueError, match="`factors` must be at least 0"):
        LayerwiseAdamW(factors)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_what_is_thawed_late_moves_as_under_a_new_optimizer(
    values, gradients, amsgrad
):
    """Also where Adam itself would take a step of 3.2 times the rate."""
    options = {"weight_decay": DECAY, "amsgrad": amsgrad}
    early, late = values[:2]
    first = LayerwiseAdamW([1.0], RATE, **options)
    variables = [keras.Variable(early), keras.Variable(late)]
    first.build(variables[:1])
    first.iterations.assign(5000)
    first.apply([keras.ops.array(gradients[0][0])], variables[:1])
    both = LayerwiseAdamW([1.0, 0.5], RATE, **options)
    both.build(variables)
    carry_over(first, both)
    for step in gradients[1:]:
        both.apply(list(map(keras.ops.array, step[:2])), variables)
    (expected,) = trained(
        keras.optimizers.AdamW(0.5 * RATE, **options),
        [late],
        [[step[1]] for step in gradients[1:]],
    )
    np.testing.assert_allclose(variables[1].numpy(), expected, rtol=1e-5)
    longest = np.abs(variables[1].numpy() - late).max()
    assert longest <= len(gradients[1:]) * 0.5 * RATE * (1 + DECAY * 3)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=[pytest.mark.slow(ci=True)]
            * (name not in ("cosine", "step")),
        )
        for name in BUILDERS
    ],
)
def test_every_schedule_of_the_kit_scales_every_variable(
    values, gradients, name
):
    def schedule(peak):
        return schedules.get(name, peak=peak, steps=70)

    new = trained(LayerwiseAdamW(FACTORS, schedule(RATE)), values, gradients)
    for position, factor in list(enumerate(FACTORS))[1:]:
        (expected,) = trained(
            keras.optimizers.AdamW(schedule(factor * RATE)),
            [values[position]],
            [[step[position]] for step in gradients],
        )
        np.testing.assert_allclose(new[position], expected, rtol=1e-5)


def test_a_rate_that_a_plateau_reduces_falls_for_every_variable():
    model = small_model()
    model.compile(LayerwiseAdamW([0.1, 0.2, 0.5, 1.0], 0.5), "mse")
    x = np.ones((4, 4), "float32")
    reduce = keras.callbacks.ReduceLROnPlateau(
        "loss", factor=1e-6, patience=1, min_delta=1e9
    )
    rates, weights = [], []
    note = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: (
            rates.append(float(model.optimizer.learning_rate)),
            weights.append(model.get_weights()),
        )
    )
    model.fit(x, x[:, :2], epochs=4, callbacks=[reduce, note], verbose=0)
    np.testing.assert_allclose(rates, [0.5, 0.5, 0.5e-6, 0.5e-12], rtol=1e-5)
    before, after = weights[1:3]  # the last epoch at the whole rate
    kernels = [np.abs(b - a).max() for a, b in zip(before, after, strict=True)]
    assert kernels[2] > 0.1
    last = model.get_weights()
    for old, new in zip(weights[2], last, strict=True):
        assert np.abs(new - old).max() < 1e-5


@pytest.mark.slow(ci=True)
def test_training_goes_on_to_the_bit_with_a_model_inside(tmp_path):
    x = keras.Input((16, 16, 3))
    y = layers.Dense(2, name="head")(pyramid_without_head()(x))
    model = keras.Model(x, y)
    model.compile(
        LayerwiseAdamW(depth_factors(model, 0.5), RATE, weight_decay=DECAY),
        "mse",
    )
    images = np.random.default_rng(0).normal(size=(4, 16, 16, 3))

    def train(model):
        for _ in range(3):
            model.train_on_batch(images, images[:, 0, :2, 0])
        return model.get_weights()

    train(model)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for left, right in zip(train(model), train(again), strict=True):
        np.testing.assert_array_equal(left, right)


def pyramid_without_head():
    x = keras.Input((16, 16, 3))
    y = layers.Conv2D(2, 3, 2, padding="same")(x)
    y = layers.Conv2D(2, 3, 2, padding="same")(y)
    return keras.Model(x, layers.GlobalAveragePooling2D()(y), name="body")
