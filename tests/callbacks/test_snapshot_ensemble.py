import json
import random
import subprocess
import sys

import keras
import numpy as np
import pytest

from dropzoo.callbacks import SnapshotEnsemble
from dropzoo.callbacks.rate_cycles import RateCycles
from dropzoo.schedules import (
    CyclicalLearningRate,
    OneCycle,
    PerUpdate,
    SnapshotCosine,
    StepDecay,
    Warmup,
)

STEPS = 4  # in an epoch
X = np.random.default_rng(0).normal(size=(STEPS * 2, 3)).astype("float32")
Y = np.arange(STEPS * 2) % 2


class Noted(keras.callbacks.Callback):
    """Notes the weights after each step, and the files after each batch."""

    def __init__(self, directory=None):
        super().__init__()
        self.weights = {}
        self.directory = directory
        self.most = 0

    def on_train_batch_end(self, batch, logs=None):
        step = len(self.weights) + 1
        self.weights[step] = self.model.get_weights()
        if self.directory:
            self.most = max(self.most, len(files(self.directory)))


def files(directory):
    return sorted(path.name for path in directory.glob("snapshot-*"))


def build(rate, *, logits=True, seed=0, **options):
    random.seed(seed)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="tanh"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(2, activation=None if logits else "softmax"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
    optimizer = rate
    if not isinstance(rate, keras.optimizers.Optimizer):
        optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    # "accuracy" would make its variables in the first step, see `fit` below.
    metrics = [keras.metrics.SparseCategoricalAccuracy("accuracy")]
    model.compile(optimizer, loss, metrics=metrics, **options)
    return model


def fit(model, *callbacks, epochs=6, **options):
    options = {"batch_size": 2, "shuffle": False, "verbose": 0, **options}
    if not model.optimizer.built:  # or TensorFlow would trace the step twice
        model.optimizer.build(model.trainable_variables)
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **options)


def three_cycles():
    return SnapshotCosine(0.1, 6 * STEPS, 3)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def minima(schedule, steps):
    cycles = RateCycles(schedule)
    return [n for n in range(1, steps + 1) if cycles.advance()]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (SnapshotCosine(0.1, 24, 3), [8, 16]),
        (Warmup(SnapshotCosine(0.1, 24, 3), 5), [13, 21]),
        (CyclicalLearningRate(0.1, 1.0, 3), [7, 13, 19, 25]),
        (PerUpdate(SnapshotCosine(0.1, 12, 3), 2), [8, 16]),
        (
            keras.optimizers.schedules.CosineDecayRestarts(0.1, 8, t_mul=1.0),
            [8, 16, 24],
        ),
        (OneCycle(0.1, 24), []),
        (StepDecay(0.1, 1, 4), []),
    ],
)
def test_cycles_end_with_the_last_step_before_a_rise(schedule, expected):
    assert minima(schedule, 26) == expected


@pytest.mark.parametrize("start", range(0, 24, 3))
def test_cycles_are_the_same_from_any_step_on(start):
    cycles = RateCycles(Warmup(SnapshotCosine(0.1, 20, 4), 4), start)
    found = [n for n in range(start + 1, 25) if cycles.advance()]
    assert found == [n for n in (9, 14, 19) if n > start]


def test_the_end_of_the_schedule_is_a_cycles_end_too():
    resting = [
        step
        for step in range(1, 26)
        if RateCycles(SnapshotCosine(0.1, 20, 4), step).at_rest()
    ]
    assert resting[-6:] == [20, 21, 22, 23, 24, 25]
    assert 17 not in resting
    assert 18 not in resting


def test_a_triangle_rests_where_the_next_step_has_the_least_rate():
    schedule = CyclicalLearningRate(0.1, 1.0, 3)
    assert RateCycles(schedule, 6).at_rest()
    assert not RateCycles(schedule, 4).at_rest()
    assert not RateCycles(schedule, 2).at_rest()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A training of three cycles: model, snapshots, notes and history."""
    model, noted = build(three_cycles()), Noted()
    snapshots = SnapshotEnsemble(tmp_path_factory.mktemp("cycles"))
    history = fit(model, noted, snapshots, validation_data=(X, Y))
    return model, snapshots, noted, history.history


def test_snapshots_hold_the_weights_before_each_restart(trained):
    model, snapshots, noted, _ = trained
    assert [entry["step"] for entry in snapshots.snapshots] == [8, 16, 24]
    twin = keras.models.clone_model(model)
    for entry in snapshots.snapshots:
        twin.load_weights(snapshots.directory / entry["file"])
        for found, expected in zip(
            twin.get_weights(), noted.weights[entry["step"]], strict=True
        ):
            np.testing.assert_array_equal(found, expected)


def test_scores_are_those_of_the_epoch_that_ends_the_cycle(trained):
    _, snapshots, _, history = trained
    expected = [
        {name: history[name][epoch] for name in ("val_accuracy", "val_loss")}
        for epoch in (1, 3, 5)
    ]
    assert [entry["scores"] for entry in snapshots.snapshots] == expected
    written = json.loads((snapshots.directory / "snapshots.json").read_text())
    assert written == snapshots.snapshots


@pytest.mark.slow(ci=True)
def test_a_cycle_that_ends_within_an_epoch_has_no_score(tmp_path):
    snapshots = SnapshotEnsemble(tmp_path)
    rate = SnapshotCosine(0.1, 12, 2)
    fit(build(rate), snapshots, epochs=3, validation_data=(X, Y))
    steps = [(e["step"], e["scores"] is None) for e in snapshots.snapshots]
    assert steps == [(6, True), (12, False)]


@pytest.mark.parametrize(
    "keep", [pytest.param(1, marks=pytest.mark.slow(ci=True)), 2]
)
def test_no_more_files_are_kept_than_asked_for(tmp_path, keep):
    noted = Noted(tmp_path)
    snapshots = SnapshotEnsemble(tmp_path, keep=keep)
    fit(build(three_cycles()), snapshots, noted)
    last = [8, 16, 24][-keep:]
    assert noted.most == keep
    assert [entry["step"] for entry in snapshots.snapshots] == last
    assert files(tmp_path) == [f"snapshot-{n}.weights.h5" for n in last]


def outputs_of_members(model, noted):
    twin, outputs = keras.models.clone_model(model), []
    for step in (8, 16, 24):
        twin.set_weights(noted.weights[step])
        outputs.append(keras.ops.convert_to_numpy(twin(X)))
    return outputs


def test_the_ensemble_averages_probabilities_of_logits(trained):
    model, snapshots, noted, _ = trained
    members = [softmax(x) for x in outputs_of_members(model, noted)]
    found = snapshots.ensemble().predict(X, verbose=0)
    np.testing.assert_allclose(found, np.mean(members, axis=0), atol=1e-6)


@pytest.mark.slow(ci=True)
def test_the_ensemble_averages_probabilities(tmp_path):
    snapshots, noted = SnapshotEnsemble(tmp_path), Noted()
    model = build(three_cycles(), logits=False)
    fit(model, snapshots, noted)
    members = outputs_of_members(model, noted)
    found = snapshots.ensemble()(X)
    np.testing.assert_allclose(found, np.mean(members, axis=0), atol=1e-6)


def test_it_may_average_logits(trained):
    model, snapshots, noted, _ = trained
    expected = softmax(np.mean(outputs_of_members(model, noted), axis=0))
    together = snapshots.ensemble(average="logits")
    np.testing.assert_allclose(together(X), expected, atol=1e-6)
    names = {layer.name for layer in together.layers}
    assert {"snapshot_8", "snapshot_16", "snapshot_24"} < names


@pytest.mark.slow(ci=True)
def test_one_snapshot_is_an_ensemble_of_one(tmp_path):
    snapshots = SnapshotEnsemble(tmp_path, keep=1)
    model = build(three_cycles())
    fit(model, snapshots)
    expected = softmax(keras.ops.convert_to_numpy(model(X)))
    np.testing.assert_allclose(snapshots.ensemble()(X), expected, atol=1e-6)


def test_building_the_ensemble_leaves_the_model_as_it_was(trained):
    model, snapshots, *_ = trained
    before = model.get_weights()
    snapshots.ensemble()
    for found, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow(ci=True)
def test_the_saved_ensemble_needs_keras_alone(tmp_path):
    from dropzoo.layers import StochasticDepth

    random.seed(0)
    inputs = keras.Input((3,))
    x = keras.layers.Dense(3)(inputs)
    x = keras.layers.Add()([inputs, StochasticDepth(0.5)(x)])
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    model.compile(
        keras.optimizers.SGD(three_cycles()),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    snapshots = SnapshotEnsemble(tmp_path / "cycles")
    fit(model, snapshots)
    ensemble = snapshots.ensemble()
    ensemble.save(tmp_path / "ensemble.keras")
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", ensemble.predict(X, verbose=0))
    source = (
        "import sys, keras, numpy as np\n"
        "model = keras.saving.load_model('ensemble.keras')\n"
        "found = model.predict(np.load('x.npy'), verbose=0)\n"
        "np.testing.assert_allclose(found, np.load('y.npy'), atol=1e-6)\n"
        "assert 'dropzoo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", source], cwd=tmp_path, check=True)


@pytest.mark.slow(ci=True)
def test_a_training_that_goes_on_ends_with_the_same_snapshots(tmp_path):
    """As `ExactResume` does it: state, weights and step come back."""
    whole = SnapshotEnsemble(tmp_path / "whole", keep=2)
    fit(build(three_cycles()), whole, validation_data=(X, Y))

    first = SnapshotEnsemble(tmp_path / "parts", keep=2)
    model = build(three_cycles())
    fit(model, first, epochs=3, validation_data=(X, Y))
    state = json.loads(json.dumps(first.get_state()))
    model.save(tmp_path / "model.keras")
    fit(model, first, epochs=4, initial_epoch=3)  # and is killed in epoch 5

    model = keras.saving.load_model(tmp_path / "model.keras")
    second = SnapshotEnsemble(tmp_path / "parts", keep=2)
    second.set_state(state)
    fit(model, second, initial_epoch=3, validation_data=(X, Y))
    assert second.snapshots == whole.snapshots
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
    np.testing.assert_array_equal(
        second.ensemble().predict(X, verbose=0),
        whole.ensemble().predict(X, verbose=0),
    )


def test_without_a_state_the_list_is_read_from_the_directory(tmp_path):
    model = build(three_cycles())
    fit(model, SnapshotEnsemble(tmp_path), epochs=3)
    again = SnapshotEnsemble(tmp_path)
    fit(model, again, initial_epoch=3)
    assert [entry["step"] for entry in again.snapshots] == [8, 16, 24]


def test_a_new_training_removes_the_snapshots_of_the_last(tmp_path):
    fit(build(three_cycles()), SnapshotEnsemble(tmp_path))
    snapshots = SnapshotEnsemble(tmp_path)
    fit(build(three_cycles()), snapshots, epochs=2)
    assert [entry["step"] for entry in snapshots.snapshots] == [8]
    assert files(tmp_path) == ["snapshot-8.weights.h5"]


def test_a_full_disk_leaves_no_part_of_a_snapshot(tmp_path, monkeypatch):
    model = build(three_cycles())

    def save_half(path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model, "save_weights", save_half)
    with pytest.raises(OSError, match="No space left"):
        fit(model, SnapshotEnsemble(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_steps_that_loss_scaling_skips_are_not_counted(tmp_path):
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(SnapshotCosine(0.1, 6, 2)), initial_scale=2.0**127
    )
    snapshots, noted = SnapshotEnsemble(tmp_path), Noted()
    model = build(optimizer)
    fit(model, snapshots, noted, epochs=3)
    skipped = len(noted.weights) - int(optimizer.iterations)
    assert skipped > 0
    (first, *_) = snapshots.snapshots
    twin = keras.models.clone_model(model)
    twin.load_weights(tmp_path / first["file"])
    for found, expected in zip(
        twin.trainable_variables,
        noted.weights[first["step"] + skipped][:4],
        strict=False,
    ):
        np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.slow(ci=True)
def test_batches_held_back_are_followed_through_the_schedule(tmp_path):
    rate = PerUpdate(SnapshotCosine(0.1, 12, 3), 2)
    optimizer = keras.optimizers.SGD(rate, gradient_accumulation_steps=2)
    snapshots = SnapshotEnsemble(tmp_path)
    fit(build(optimizer), snapshots)
    assert [entry["step"] for entry in snapshots.snapshots] == [8, 16, 24]


@pytest.mark.slow(ci=True)
def test_another_schedule_may_give_the_cycles(tmp_path):
    snapshots = SnapshotEnsemble(tmp_path, schedule=three_cycles())
    fit(build(0.1), snapshots)
    assert [entry["step"] for entry in snapshots.snapshots] == [8, 16, 24]


@pytest.mark.slow(ci=True)
def test_steps_executed_together_must_end_with_the_cycle(tmp_path):
    model = build(SnapshotCosine(0.1, 12, 4), steps_per_execution=2)
    with pytest.raises(ValueError, match="`steps_per_execution` must divide"):
        fit(model, SnapshotEnsemble(tmp_path))
    model = build(SnapshotCosine(0.1, 24, 3), steps_per_execution=2)
    snapshots = SnapshotEnsemble(tmp_path)
    fit(model, snapshots)
    assert [entry["step"] for entry in snapshots.snapshots] == [8, 16, 24]


def test_an_optimizer_without_a_schedule_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must have a LearningRateSchedule"):
        fit(build(0.1), SnapshotEnsemble(tmp_path))


def test_what_is_no_schedule_is_refused(tmp_path):
    with pytest.raises(TypeError, match="`schedule` must be .*schedule=0.1"):
        SnapshotEnsemble(tmp_path, schedule=0.1)


@pytest.mark.parametrize("keep", [0, -1])
def test_keeping_nothing_is_refused(tmp_path, keep):
    with pytest.raises(ValueError, match=f"`keep` must be .*keep={keep}"):
        SnapshotEnsemble(tmp_path, keep=keep)


def test_an_ensemble_of_nothing_is_refused(tmp_path):
    snapshots = SnapshotEnsemble(tmp_path)
    with pytest.raises(ValueError, match="holds no snapshot"):
        snapshots.ensemble()
