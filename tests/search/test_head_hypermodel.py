"""Heads on features: what a trial computes, and that it leaves no trace."""

import json
import os
import pickle
import subprocess
import sys
import unittest.mock

import keras
import keras_tuner
import numpy as np
import pytest

from dropzoo import schedules
from dropzoo.search import head_hypermodel
from dropzoo.search.head_hypermodel import HeadHyperModel
from dropzoo.search.search_space import SearchSpace

FEATURES, CLASSES = 12, 3


@pytest.fixture(scope="module")
def data() -> dict:
    """Three clouds of points, some of them held out."""
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 2, (CLASSES, FEATURES))
    y = rng.integers(CLASSES, size=90)
    x = centres[y] + rng.normal(size=(90, FEATURES))
    held_out = x[60:], y[60:]
    return {"x": x[:60], "y": y[:60], "validation_data": held_out}


@pytest.fixture(scope="module")
def hypermodel() -> HeadHyperModel:
    return HeadHyperModel(FEATURES, CLASSES, batch_size=16)


def trial(hypermodel, data, epochs=3, **values):
    """Runs a trial with some values, and the defaults of the others."""
    hp = keras_tuner.HyperParameters()
    for name, value in values.items():
        hp.Fixed(name, value)
    model = hypermodel.build(hp)
    history = hypermodel.fit(hp, model, **data, epochs=epochs)
    return model, history.history


def reference(data, *, rate, decay, epochs, seed, batch=16):
    """Softmax regression by AdamW from zero, in NumPy."""
    x, y = data["x"], data["y"]
    kernel, bias = np.zeros((FEATURES, CLASSES)), np.zeros(CLASSES)
    slots = [[np.zeros_like(v), np.zeros_like(v)] for v in (kernel, bias)]
    steps = len(x) // batch
    schedule = schedules.get("cosine", peak=rate, steps=epochs * steps)
    step = 0
    for epoch in range(epochs):
        order = np.random.default_rng((seed, epoch)).permutation(len(x))
        for start in range(0, steps * batch, batch):
            rows = order[start : start + batch]
            scores = x[rows] @ kernel + bias
            shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
            error = (shares - np.eye(CLASSES)[y[rows]]) / batch
            lr, step = float(schedule(step)), step + 1
            for value, gradient, (m, v) in zip(
                (kernel, bias),
                (x[rows].T @ error, error.sum(0)),
                slots,
                strict=True,
            ):
                value -= lr * decay * value
                m += 0.1 * (gradient - m)
                v += 0.001 * (gradient**2 - v)
                scale = np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
                value -= lr * scale * m / (np.sqrt(v) + 1e-7)
    return kernel, bias


def test_a_trial_is_softmax_regression_by_adamw(hypermodel, data):
    values = {"peak_rate": 0.05, "weight_decay": 0.1, "dropout": 0.0}
    drawn = {**values, "hidden_units": 0, "schedule": "cosine"}
    seed = head_hypermodel.trial_seed(drawn, hypermodel.seed)
    model, history = trial(hypermodel, data, **values)
    expected = reference(data, rate=0.05, decay=0.1, epochs=3, seed=seed)
    for ours, theirs in zip(model.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-4)
    kernel, bias = expected
    x, y = data["validation_data"]
    accuracy = ((x @ kernel + bias).argmax(1) == y).mean()
    assert history["val_accuracy"][-1] == pytest.approx(accuracy, abs=0.05)
    scores = keras.losses.sparse_categorical_crossentropy(
        y, x @ kernel + bias, from_logits=True
    )
    loss = float(keras.ops.mean(scores))
    assert history["val_loss"][-1] == pytest.approx(loss, rel=2e-3)


@pytest.mark.parametrize("units", [0, 8])
def test_a_trial_ends_the_same_whatever_ran_before(hypermodel, data, units):
    values = {"hidden_units": units, "dropout": 0.3, "peak_rate": 0.03}
    _, first = trial(hypermodel, data, **values)
    _, other = trial(hypermodel, data, **{**values, "peak_rate": 0.01})
    keras.backend.clear_session()  # as KerasTuner does before each trial
    model, again = trial(hypermodel, data, **values)
    assert again == first != other
    assert set(again) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert len(model.layers) == (4 if units else 2)


@pytest.mark.slow(ci=True)
def test_a_copy_in_another_process_gives_the_same(hypermodel, data):
    copy = pickle.loads(pickle.dumps(hypermodel))
    _, ours = trial(hypermodel, data, peak_rate=0.03)
    model, theirs = trial(copy, data, peak_rate=0.03)
    assert ours == theirs
    assert model is not trial(hypermodel, data)[0]


def test_another_seed_gives_another_trial(hypermodel, data):
    other = HeadHyperModel(FEATURES, CLASSES, batch_size=16, seed=1)
    other._heads = hypermodel._heads  # traced already
    _, ours = trial(hypermodel, data, peak_rate=0.03)
    assert trial(other, data, peak_rate=0.03)[1] != ours


def test_nothing_is_traced_again(hypermodel, data):
    model, _ = trial(hypermodel, data, dropout=0.1)
    (head,) = hypermodel._heads[0]
    before = head._train
    for number in range(3):
        again, _ = trial(hypermodel, data, peak_rate=10.0**-number)
        assert again is model
    assert hypermodel._heads[0][0]._train is before


def test_a_training_goes_on_from_an_epoch(hypermodel, data):
    values = {"peak_rate": 0.03, "dropout": 0.0}
    whole, history = trial(hypermodel, data, epochs=4, **values)
    weights = [np.asarray(x) for x in whole.variables]
    slots: list[np.ndarray] = []

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                variables = self.model.optimizer.variables
                slots.extend(np.asarray(x) for x in variables)
                self.model.stop_training = True

    hp = keras_tuner.HyperParameters()
    for name, value in values.items():
        hp.Fixed(name, value)
    model = hypermodel.build(hp)
    first = hypermodel.fit(hp, model, **data, epochs=4, callbacks=[Stop()])
    model.stop_training = False
    for variable, value in zip(model.optimizer.variables, slots, strict=True):
        variable.assign(value)
    rest = hypermodel.fit(hp, model, **data, epochs=4, initial_epoch=2)
    assert first.history["loss"] + rest.history["loss"] == history["loss"]
    for ours, theirs in zip(model.variables, weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_folds_are_trainings_of_their_own(hypermodel, data):
    x, y = data["x"], data["y"]
    rows = np.random.default_rng(1).permutation(len(x))
    folds = [(rows[:40], rows[40:]), (rows[20:], rows[:12])]
    values = {"hidden_units": 8, "dropout": 0.3, "peak_rate": 0.03}
    _, together = trial(hypermodel, {"x": x, "y": y, "folds": folds}, **values)
    alone = [
        trial(
            hypermodel,
            {"x": x[rows], "y": y[rows], "validation_data": (x[held], y[held])},
            **values,
        )[1]
        for rows, held in folds
    ]
    for name, logs in together.items():
        expected = np.average([x[name] for x in alone], 0, weights=[20, 12])
        np.testing.assert_allclose(logs, expected, rtol=1e-6)


def test_folds_go_on_from_an_epoch(hypermodel, data):
    x, y = data["x"], data["y"]
    folds = [(np.arange(30), np.arange(30, 60))]
    hp = keras_tuner.HyperParameters()
    hp.Fixed("peak_rate", 0.03)
    logs = [
        hypermodel.fit(
            hp, hypermodel.build(hp), x, y, folds=folds, epochs=4, **start
        ).history["val_loss"]
        for start in ({}, {"initial_epoch": 2})
    ]
    assert logs[0][2:] == logs[1]


def test_few_heads_are_kept(monkeypatch):
    monkeypatch.setattr(head_hypermodel, "MOST_KINDS", 2)
    monkeypatch.setattr(head_hypermodel, "ReusableHead", unittest.mock.Mock())
    hypermodel = HeadHyperModel(FEATURES, CLASSES)
    for units in (0, 2, 4):
        hp = keras_tuner.HyperParameters()
        hp.Fixed("hidden_units", units)
        hypermodel.build(hp)
    assert list(hypermodel._heads) == [2, 4]


def test_it_serves_a_tuner_of_kerastuner(hypermodel, data, tmp_path):
    space = SearchSpace().changed(hidden_units=0, peak_rate=(1e-3, 1e-1))
    searched = HeadHyperModel(FEATURES, CLASSES, space=space, batch_size=16)
    searched._heads = hypermodel._heads  # traced already
    tuner = keras_tuner.RandomSearch(
        searched, "val_accuracy", max_trials=3, seed=1, directory=tmp_path
    )
    tuner.search(**data, epochs=2, verbose=0)
    best = tuner.oracle.get_best_trials()[0]
    names = set(best.hyperparameters.values)
    assert names == set(head_hypermodel.HEAD_PARAMETERS)
    (model,) = tuner.get_best_models()
    x, y = data["validation_data"]
    hits = np.asarray(model(x)).argmax(1) == y
    assert hits.mean() == pytest.approx(best.score)


def test_a_model_of_another_trial_is_refused(hypermodel, data):
    hp = keras_tuner.HyperParameters()
    model = keras.Sequential([keras.Input((FEATURES,))])
    with pytest.raises(ValueError, match="`model` must be what `build` gave"):
        hypermodel.fit(hp, model, **data)


def test_folds_beside_validation_data_are_refused(hypermodel, data):
    hp = keras_tuner.HyperParameters()
    model = hypermodel.build(hp)
    with pytest.raises(ValueError, match="the place of `validation_data`"):
        hypermodel.fit(hp, model, **data, folds=[([0, 1], [2])])
    x, y = data["x"], data["y"]
    with pytest.raises(ValueError, match="at least one pair"):
        hypermodel.fit(hp, model, x, y, folds=[])


@pytest.mark.parametrize("name", ["num_features", "num_classes", "batch_size"])
def test_a_number_below_one_is_refused(name):
    sizes = {"num_features": 2, "num_classes": 2, name: 0}
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1"):
        HeadHyperModel(**sizes)


@pytest.mark.slow
def test_jax_computes_the_same():
    code = (
        "import json, sys, numpy as np, keras_tuner\n"
        "from dropzoo.search import HeadHyperModel\n"
        "rng = np.random.default_rng(0)\n"
        "x, y = rng.normal(size=(40, 5)), rng.integers(3, size=40)\n"
        "hp = keras_tuner.HyperParameters()\n"
        "hp.Fixed('dropout', 0.0)\n"
        "head = HeadHyperModel(5, 3, batch_size=8)\n"
        "model = head.build(hp)\n"
        "logs = head.fit(hp, model, x, y, validation_data=(x, y), epochs=3)\n"
        "print(json.dumps(logs.history))\n"
    )
    found = []
    for backend in ("tensorflow", "jax"):
        output = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(json.loads(output.stdout.splitlines()[-1]))
    for name in found[0]:
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-4)
