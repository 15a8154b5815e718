"""What both monitors promise: to disturb nothing, to go on, to be read."""

import json

import keras
import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)
from tensorboard.util.tensor_util import make_ndarray

from dropzoo.callbacks import ActivationMonitor, UpdateRatioMonitor
from dropzoo.layers import FractionalMaxPooling2D

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 6, 6, 2)).astype("float32")
Y = np.arange(24) % 3


def build():
    """A model with every state that a look inside could disturb."""
    keras.utils.set_random_seed(0)
    inner = keras.Sequential(
        [
            keras.Input((6, 6, 4)),
            keras.layers.Conv2D(4, 3, name="conv"),
            keras.layers.ReLU(name="relu"),
        ],
        name="inner",
    )
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(4, 1, activation="tanh", name="stem"),
            keras.layers.BatchNormalization(name="norm"),
            inner,
            FractionalMaxPooling2D(1.4, inference="random", seed=1),
            keras.layers.Dropout(0.3, seed=2),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax", name="head"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def fit(model, *callbacks, epochs=2, **options):
    options = {"batch_size": 4, "verbose": 0, **options}
    if not model.optimizer.built:  # or TensorFlow would trace the step twice
        model.optimizer.build(model.trainable_variables)
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **options)


def monitors(**options):
    return (
        UpdateRatioMonitor(4, **options),
        ActivationMonitor(X[:8], 4, **options),
    )


def values(model):
    return [
        np.array(keras.ops.convert_to_numpy(variable))
        for variable in model.variables + model.optimizer.variables
    ]


class SavedAfter(keras.callbacks.Callback):
    """Keeps, after the first epoch, what `ExactResume` would."""

    def __init__(self, *watched):
        super().__init__()
        self.watched = watched

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            self.values = values(self.model)
            self.states = [monitor.get_state() for monitor in self.watched]


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A training with both monitors on, and where they wrote."""
    folder = tmp_path_factory.mktemp("watched")
    ratios = UpdateRatioMonitor(
        4, log_directory=folder / "ratios", picture=folder / "ratios.png"
    )
    activations = ActivationMonitor(
        X[:8],
        4,
        log_directory=folder / "activations",
        picture=folder / "activations.png",
    )
    model, saved = build(), SavedAfter(ratios, activations)
    fit(model, ratios, activations, saved)
    return model, ratios, activations, saved, folder


def test_the_training_itself_is_the_same_to_the_bit(watched):
    model, *_ = watched
    plain = build()
    fit(plain)
    for found, expected in zip(values(model), values(plain), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow(ci=True)
def test_the_history_goes_on_to_the_bit():
    wholes = monitors()
    saved = SavedAfter(*wholes)
    fit(build(), *wholes, saved, shuffle=False)
    model, again = build(), monitors()
    model.optimizer.build(model.trainable_variables)
    variables = model.variables + model.optimizer.variables
    for variable, value in zip(variables, saved.values, strict=True):
        variable.assign(value)
    for monitor, state in zip(again, saved.states, strict=True):
        monitor.set_state(state)
    fit(model, *again, initial_epoch=1, shuffle=False)
    for monitor, whole in zip(again, wholes, strict=True):
        assert len(whole.history) == 3
        assert monitor.history == whole.history
    for name, sample in wholes[1].last_samples.items():
        np.testing.assert_array_equal(again[1].last_samples[name], sample)


def test_states_are_made_of_json_and_arrays(watched):
    *_, saved, _ = watched
    ratios, activations = map(dict, saved.states)
    for name in ("first", "last"):
        samples = activations.pop(name)
        assert {type(sample) for sample in samples.values()} == {np.ndarray}
    for state in (ratios, activations):
        assert json.loads(json.dumps(state)) == state
        assert len(state["history"]) == 2
        assert state["batches"] == 6


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    return events.Reload()


def test_tensorboard_reads_the_shares_and_ratios(watched):
    _, ratios, activations, _, folder = watched
    for monitor, name in [(ratios, "ratios"), (activations, "activations")]:
        events, found = read(folder / name), []
        for record in monitor.history:
            quantities = {k: v for k, v in record.items() if k != "step"}
            found += [
                (f"{quantity}/{layer}", record["step"], value)
                for quantity, layers in quantities.items()
                for layer, value in layers.items()
            ]
        assert len(found) >= 6
        for tag, step, value in found:
            (event,) = [x for x in events.Tensors(tag) if x.step == step]
            assert make_ndarray(event.tensor_proto) == np.float32(value)


def test_tensorboard_reads_the_histograms(watched):
    *_, activations, _, folder = watched
    events = read(folder / "activations")
    for layer, sample in activations.last_samples.items():
        event = events.Tensors(f"activations/{layer}")[-1]
        *_, count = make_ndarray(event.tensor_proto).T
        assert count.sum() == sample.size
        assert event.step == activations.history[-1]["step"]


def test_pictures_are_drawn_at_the_end(watched):
    *_, folder = watched
    for name in ("ratios.png", "activations.png"):
        with Image.open(folder / name) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        assert min(pixels.shape[:2]) > 200
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
    assert not list(folder.glob("*.part*"))


@pytest.mark.slow(ci=True)
def test_without_files_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    both = monitors()
    fit(build(), *both, epochs=1)
    assert [len(monitor.history) for monitor in both] == [2, 2]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("position", [0, 1])
def test_a_picture_of_nothing_is_refused(position, tmp_path):
    with pytest.raises(ValueError, match="nothing is measured yet"):
        monitors()[position].draw(tmp_path / "nothing.png")


@pytest.mark.parametrize("kind", [UpdateRatioMonitor, ActivationMonitor])
@pytest.mark.parametrize("every", [0, -1])
def test_an_interval_below_one_is_refused(kind, every):
    batch = [X] if kind is ActivationMonitor else []
    with pytest.raises(ValueError, match=f"`every` must be .*every={every}"):
        kind(*batch, every)
