"""What every schedule promises, whatever it does: one check per promise."""

import inspect
import json

import keras
import numpy as np
import pytest

from dropzoo import schedules

STEPS = 24


def wrapped():
    return schedules.SnapshotCosine(0.1, STEPS, 3)


SCHEDULES = {
    "CyclicalLearningRate": lambda: schedules.CyclicalLearningRate(
        0.01, 0.1, 4, mode="exp_range", gamma=0.9
    ),
    "FastGeometricCycle": lambda: schedules.FastGeometricCycle(0.1, 0.01, 8),
    "OneCycle": lambda: schedules.OneCycle(0.1, STEPS),
    "PerUpdate": lambda: schedules.PerUpdate(wrapped(), 2),
    "SnapshotCosine": wrapped,
    "StepDecay": lambda: schedules.StepDecay(0.1, 2, 3, factor=0.5),
    "Warmup": lambda: schedules.Warmup(wrapped(), 4),
}
# A compiled fit takes these in the ordinary run: a plain one and a wrapper.
FEW = {"OneCycle", "PerUpdate"}
every_schedule = pytest.mark.parametrize("name", SCHEDULES)


def model_with(optimizer, **options):
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(
                1, use_bias=False, kernel_initializer="zeros", dtype="float32"
            ),
        ]
    )
    model.compile(optimizer, total, **options)
    return model


def total(labels, outputs):
    """Its gradient is 1 for an input of 1, whatever the weight is."""
    return keras.ops.mean(outputs)


class Weights(keras.callbacks.Callback):
    """Notes the only weight after each batch."""

    def on_train_begin(self, logs=None):
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(float(self.model.get_weights()[0][0, 0]))


def test_every_public_schedule_is_here():
    public = {name for name in dir(schedules) if name[0].isupper()}
    assert public == SCHEDULES.keys()


@every_schedule
def test_config_lists_the_constructors_arguments(name):
    schedule = SCHEDULES[name]()
    arguments = list(inspect.signature(type(schedule)).parameters)
    assert list(schedule.get_config()) == arguments
    json.dumps(schedule.get_config())


@every_schedule
def test_arguments_are_stored_as_they_came(name):
    schedule = SCHEDULES[name]()
    for argument, value in schedule.get_config().items():
        if argument != "schedule":
            assert getattr(schedule, argument) == value


@every_schedule
def test_it_is_registered_under_this_package(name):
    config = keras.saving.serialize_keras_object(SCHEDULES[name]())
    assert config["registered_name"] == f"dropzoo>{name}"


@every_schedule
def test_it_comes_back_from_its_config(name, rates):
    schedule = SCHEDULES[name]()
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(
        json.loads(json.dumps(config))
    )
    assert type(again) is type(schedule)
    assert again.get_config() == schedule.get_config()
    assert (rates(again, STEPS) == rates(schedule, STEPS)).all()


@every_schedule
def test_a_step_may_be_any_number(name, rates):
    schedule = SCHEDULES[name]()
    expected = rates(schedule, STEPS)[5]
    variable = keras.Variable(5, dtype="int32", trainable=False)
    tensors = [
        keras.ops.convert_to_tensor(5, dtype=dtype)
        for dtype in ("int32", "uint8", "float32")
    ]
    for step in [5, 5.0, np.int64(5), variable, *tensors]:
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-6)


@every_schedule
def test_it_is_defined_far_past_its_end(name):
    rate = float(SCHEDULES[name]()(10**9))
    assert 0 <= rate <= np.float32(0.1)


def moves(model, inputs, start=0.0):
    """How far each batch of one input moves the weight down."""
    weights = Weights()
    model.fit(
        inputs,
        inputs,
        batch_size=1,
        shuffle=False,
        verbose=0,
        callbacks=[weights],
    )
    return -np.diff([start, *weights.seen])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=[pytest.mark.slow(ci=True)] * (name not in FEW)
        )
        for name in SCHEDULES
    ],
)
def test_a_compiled_fit_takes_its_rates_step_by_step(name, rates):
    schedule = SCHEDULES[name]()
    model = model_with(keras.optimizers.SGD(schedule))
    moved = moves(model, np.ones((STEPS, 1), "float32"))
    np.testing.assert_allclose(moved, rates(schedule, STEPS), atol=1e-6)


def test_a_saved_model_goes_on_where_it_was(rates, tmp_path):
    schedule = SCHEDULES["Warmup"]()
    model = model_with(keras.optimizers.SGD(schedule))
    ones = np.ones((STEPS // 2, 1), "float32")
    first = moves(model, ones)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(
        tmp_path / "model.keras", custom_objects={"total": total}
    )
    moved = [*first, *moves(again, ones, start=-first.sum())]
    np.testing.assert_allclose(moved, rates(schedule, STEPS), atol=1e-6)


@pytest.mark.parametrize("name", ["SnapshotCosine", "Warmup"])
def test_a_step_that_loss_scaling_skips_does_not_advance_it(name, rates):
    schedule = SCHEDULES[name]()
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(schedule), initial_scale=8.0
    )
    overflows = np.arange(STEPS) % 3 == 1
    inputs = np.where(overflows, np.inf, 1.0).astype("float32")[:, None]
    moved = moves(model_with(optimizer), inputs)
    assert (moved[overflows] == 0).all()
    expected = rates(schedule, STEPS - overflows.sum())
    np.testing.assert_allclose(moved[~overflows], expected, atol=1e-6)


ARGUMENTS = [
    ("CyclicalLearningRate", "base_learning_rate", "rate"),
    ("CyclicalLearningRate", "maximal_learning_rate", "rate"),
    ("CyclicalLearningRate", "step_size", "steps"),
    ("FastGeometricCycle", "maximal_learning_rate", "rate"),
    ("FastGeometricCycle", "minimal_learning_rate", "rate"),
    ("FastGeometricCycle", "cycle_steps", "steps"),
    ("OneCycle", "maximal_learning_rate", "rate"),
    ("OneCycle", "decay_steps", "steps"),
    ("OneCycle", "initial_divisor", "rate"),
    ("OneCycle", "final_divisor", "rate"),
    ("PerUpdate", "gradient_accumulation_steps", "steps"),
    ("SnapshotCosine", "initial_learning_rate", "rate"),
    ("SnapshotCosine", "decay_steps", "steps"),
    ("SnapshotCosine", "num_cycles", "steps"),
    ("StepDecay", "initial_learning_rate", "rate"),
    ("StepDecay", "epochs_per_drop", "steps"),
    ("StepDecay", "steps_per_epoch", "steps"),
]


def remake(name, **changes):
    schedule = SCHEDULES[name]()
    known = inspect.signature(type(schedule)).parameters
    options = {argument: getattr(schedule, argument) for argument in known}
    return type(schedule)(**{**options, **changes})


@pytest.mark.parametrize(("name", "argument", "kind"), ARGUMENTS)
def test_a_number_outside_its_range_is_refused(name, argument, kind):
    wrong = [0, -1] + ([float("nan"), float("inf")] if kind == "rate" else [])
    for value in wrong:
        with pytest.raises(
            ValueError, match=f"{name}: `{argument}` must be .*={value}"
        ):
            remake(name, **{argument: value})


@pytest.mark.parametrize(
    ("name", "argument"), [row[:2] for row in ARGUMENTS if row[2] == "steps"]
)
def test_a_part_of_a_step_is_refused(name, argument):
    with pytest.raises(
        TypeError, match=f"`{argument}` must be an integer .*=2.5"
    ):
        remake(name, **{argument: 2.5})
