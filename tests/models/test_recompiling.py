import random

import keras
import numpy as np
import pytest
from keras import layers

from dropzoo.models.layerwise_adamw import LayerwiseAdamW
from dropzoo.models.recompiling import recompile


def network(**options):
    x = keras.Input((4,))
    y = layers.Dense(3, name="a", **options)(x)
    y = layers.Dense(3, name="b", **options)(y)
    return keras.Model(x, layers.Dense(2, name="c", **options)(y))


def fit(model, steps=4):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8 * steps, 4)).astype("float32")
    if not model.optimizer.built:  # or TensorFlow would trace the step twice
        model.optimizer.build(model.trainable_variables)
    model.fit(x, x[:, :2], batch_size=8, shuffle=False, verbose=0)


def slots(model, part):
    """Optimizer variables whose name has a part in it."""
    return {
        x.name: keras.ops.convert_to_numpy(x)
        for x in model.optimizer.variables
        if part in x.name
    }


def with_a_schedule():
    schedule = keras.optimizers.schedules.CosineDecay(0.01, 20)
    return keras.optimizers.AdamW(schedule)


@pytest.mark.parametrize(
    "optimizer",
    [
        *(
            pytest.param(optimizer, marks=pytest.mark.slow(ci=True))
            for optimizer in (
                lambda: keras.optimizers.SGD(0.1, momentum=0.9),
                lambda: keras.optimizers.Adam(0.01, amsgrad=True),
                lambda: keras.optimizers.RMSprop(0.01, centered=True),
            )
        ),
        with_a_schedule,
    ],
)
def test_training_goes_on_as_if_nothing_was(optimizer):
    weights = []
    for interrupt in (False, True):
        random.seed(0)
        model = network()
        model.compile(optimizer(), "mse")
        fit(model)
        if interrupt:
            recompile(model)
        fit(model)
        weights.append(model.get_weights())
    for left, right in zip(*weights, strict=True):
        np.testing.assert_array_equal(left, right)


def test_slots_stay_with_their_variables_when_others_are_frozen():
    model = network()
    model.compile(keras.optimizers.Adam(0.01), "mse")
    fit(model)
    before, steps = slots(model, "c_"), int(model.optimizer.iterations)
    model.optimizer.learning_rate = 0.003
    model.get_layer("a").trainable = False
    recompile(model)
    assert slots(model, "a_") == {}
    assert int(model.optimizer.iterations) == steps
    assert float(model.optimizer.learning_rate) == pytest.approx(0.003)
    after = slots(model, "c_")
    assert before.keys() == after.keys() and len(before) == 4
    for name, value in before.items():
        assert value.any()
        np.testing.assert_array_equal(after[name], value)


def test_slots_of_what_is_thawed_start_at_zero():
    model = network()
    model.get_layer("a").trainable = False
    model.compile(keras.optimizers.Adam(0.01), "mse")
    fit(model)
    model.get_layer("a").trainable = True
    recompile(model)
    found = slots(model, "a_")
    assert len(found) == 4
    assert not any(value.any() for value in found.values())
    before = model.get_layer("a").get_weights()
    fit(model)
    assert np.abs(model.get_layer("a").get_weights()[0] - before[0]).any()


def test_the_first_step_after_a_thaw_is_as_long_as_the_docs_say():
    """Adam's correction counts all steps; empty slots would need their own."""
    model = network()
    model.get_layer("a").trainable = False
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(2000)
    model.get_layer("a").trainable = True
    recompile(model)
    before = model.get_layer("a").get_weights()[0]
    rng = np.random.default_rng(1)
    model.train_on_batch(rng.normal(size=(8, 4)), rng.normal(size=(8, 2)))
    step = np.abs(model.get_layer("a").get_weights()[0] - before).max()
    # (1 - 0.9) / sqrt(1 - 0.999), less what the correction still is.
    assert 2.5e-3 < step < 3.2e-3


def test_a_model_that_has_not_trained_yet_is_compiled_again():
    model = network()
    model.compile("adam", "mse", metrics=["mae"], steps_per_execution=2)
    model.get_layer("a").trainable = False
    recompile(model)
    before = model.get_layer("a").get_weights()
    fit(model)
    np.testing.assert_array_equal(
        model.get_layer("a").get_weights()[0], before[0]
    )
    assert model.steps_per_execution == 2
    assert "mae" in model.evaluate(
        np.ones((2, 4)), np.ones((2, 2)), verbose=0, return_dict=True
    )


def test_the_scale_of_the_loss_goes_on_in_mixed_precision():
    model = network(dtype="mixed_float16")
    model.dtype_policy = keras.DTypePolicy("mixed_float16")
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse")
    fit(model)
    scaler = model.optimizer
    assert isinstance(scaler, keras.optimizers.LossScaleOptimizer)
    scaler.dynamic_scale.assign(64.0)
    before = slots(model, "momentum")
    model.get_layer("a").trainable = False
    recompile(model)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert float(model.optimizer.dynamic_scale) == 64
    after = slots(model, "momentum")
    assert 0 < len(after) < len(before)
    for name, value in after.items():
        np.testing.assert_array_equal(value, before[name])


def compiled_with(optimizer, loss="mse"):
    model = network()
    model.compile(optimizer, loss)
    fit(model)
    model.get_layer("a").trainable = False
    return model


def with_a_lambda():
    return compiled_with("sgd", lambda y, z: keras.ops.mean((y - z) ** 2))


def with_factors_for_all():
    return compiled_with(LayerwiseAdamW([1.0] * 6))


def with_one_path_twice():
    model = network()
    x = keras.Input((4,))
    y = keras.layers.Concatenate()([model(x), network()(x)])
    model = keras.Model(x, layers.Dense(2, name="d")(y))
    model.compile("sgd", "mse")
    return model


def with_averages():
    model = compiled_with(keras.optimizers.SGD(0.1, use_ema=True))
    recompile(model)  # What freezes leaves no average empty.
    model.get_layer("a").trainable = True
    return model


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (with_a_lambda, "is serializable"),
        (with_factors_for_all, "its optimizer is for other variables"),
        (with_one_path_twice, "2 of its variables have the path 'a_kernel'"),
        (with_averages, "its moving averages of thawed weights would start"),
    ],
)
def test_what_cannot_be_taken_over_is_refused(build, reason):
    model = build()
    optimizer = model.optimizer
    with pytest.raises(ValueError, match=f"again, because .*{reason}") as error:
        recompile(model)
    assert "\n" not in str(error.value)
    assert model.optimizer is optimizer
