import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from dropzoo.callbacks import ExactResume

# Deterministic operations stay on for the process, so a child takes them.
CHILD = """
import sys

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from dropzoo.callbacks import ExactResume
from dropzoo.data import Augmentation, Examples, training_batches
from dropzoo.layers import StochasticDepth
from dropzoo.models.layerwise_adamw import LayerwiseAdamW, depth_factors
from dropzoo.schedules import Warmup

EPOCHS, COUNT, BATCH = 3, 16, 4
folder, precision = sys.argv[1:]
tf.config.experimental.enable_op_determinism()
keras.config.set_dtype_policy(precision)
rng = np.random.default_rng(0)
pixels = rng.integers(0, 256, (COUNT, 8, 8, 3), dtype=np.uint8)
examples = Examples(
    labels=np.arange(COUNT, dtype=np.int32) % 3,
    names=["photo"] * COUNT,
    digests=["0"] * COUNT,
    reader=pixels.__getitem__,
)


def new_model():
    x = keras.Input((8, 8, 3))
    y = layers.Rescaling(1 / 255)(x)
    y = layers.Conv2D(4, 3, 2, padding="same")(y)
    y = layers.BatchNormalization()(y)
    branch = layers.Conv2D(4, 3, padding="same")(y)
    y = layers.Add()([y, StochasticDepth(0.5)(branch)])
    y = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(y))
    model = keras.Model(x, layers.Dense(3, dtype="float32")(y))
    cosine = keras.optimizers.schedules.CosineDecay(0.02, 12)
    model.compile(
        LayerwiseAdamW(depth_factors(model, 0.5), Warmup(cosine, 4)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


class Interrupt(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.reached = epoch == self.epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.reached and batch == 1:
            raise KeyboardInterrupt


def train(model, resume, *callbacks):
    first = resume.restore(model)
    batches = training_batches(
        examples,
        (8, 8),
        batch_size=BATCH,
        augmentation=Augmentation("light", flips=True),
        seed=5,
        epochs=range(first, EPOCHS),
    )
    model.fit(
        batches,
        epochs=EPOCHS,
        initial_epoch=first,
        steps_per_epoch=COUNT // BATCH,
        callbacks=[*callbacks, resume],
        shuffle=False,
        verbose=0,
    )
    return first


keras.utils.set_random_seed(1)
whole, kept = new_model(), ExactResume(folder + "/whole")
train(whole, kept)

keras.utils.set_random_seed(1)
for epoch in range(1, EPOCHS):
    model, resume = new_model(), ExactResume(folder + "/stopped")
    try:
        train(model, resume, Interrupt(epoch))
        raise SystemExit("was not interrupted")
    except KeyboardInterrupt:
        pass
model, resume = new_model(), ExactResume(folder + "/stopped")
print("went on at", train(model, resume))
print("history", len(resume.history), resume.history == kept.history)
for kind, left, right in (
    ("weights", model.variables, whole.variables),
    ("optimizer", model.optimizer.variables, whole.optimizer.variables),
):
    same = [bool(np.array_equal(a, b)) for a, b in zip(left, right)]
    print(kind, len(left) == len(right) and all(same))
"""


@pytest.mark.parametrize(
    "precision",
    ["float32", pytest.param("mixed_float16", marks=pytest.mark.slow)],
)
def test_what_was_interrupted_in_every_epoch_ends_to_the_bit(
    tmp_path, precision
):
    run = subprocess.run(
        [sys.executable, "-c", CHILD, tmp_path, precision],
        capture_output=True,
        text=True,
    )
    assert run.stdout.splitlines() == [
        "went on at 2",
        "history 3 True",
        "weights True",
        "optimizer True",
    ], run.stderr


def new_model(units=2, optimizer="adam"):
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(units), keras.layers.Dense(1)]
    )
    model.compile(optimizer, "mse")
    return model


def fit(model, resume, epochs=2):
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    model.fit(x, x[:, :1], epochs=epochs, callbacks=[resume], verbose=0)


@pytest.fixture(scope="module")
def state_of_two_epochs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    fit(new_model(), ExactResume(folder))
    return (folder / "training.safetensors").read_bytes()


@pytest.fixture
def state(tmp_path, state_of_two_epochs):
    """The file of a training of two epochs."""
    path = tmp_path / "training.safetensors"
    path.write_bytes(state_of_two_epochs)
    return path


def bits(model):
    return [weight.tobytes() for weight in model.get_weights()]


def test_nothing_saved_means_starting_at_the_first_epoch(tmp_path):
    model = new_model()
    before = bits(model)
    assert ExactResume(tmp_path / "none").restore(model) == 0
    assert bits(model) == before


def test_weights_slots_and_history_come_back(tmp_path):
    model, resume = new_model(), ExactResume(tmp_path)
    fit(model, resume, epochs=3)
    again, restored = new_model(), ExactResume(str(tmp_path))
    assert restored.restore(again) == 3
    assert bits(again) == bits(model)
    assert int(again.optimizer.iterations) == 3
    assert restored.history == resume.history
    assert len(restored.history) == 3 and restored.history[0].keys() == {"loss"}


def test_restoring_twice_changes_nothing(state):
    model = new_model()
    resume = ExactResume(state.parent)
    assert resume.restore(model) == 2
    before = bits(model)
    assert resume.restore(model) == 2
    assert bits(model) == before


def refused(state, model, match):
    before, resume = bits(model), ExactResume(state.parent)
    with pytest.raises(ValueError, match=match):
        resume.restore(model)
    assert bits(model) == before
    assert resume.history == []


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_a_file_that_is_cut_off_is_refused(state, share):
    content = state.read_bytes()
    state.write_bytes(content[: int(share * len(content))])
    refused(state, new_model(), "training.safetensors is damaged .*delete it")


def test_a_file_of_another_kind_is_refused(state):
    state.write_text("<html>")
    refused(state, new_model(), "is damaged")


@pytest.mark.parametrize(
    "metadata", [None, {}, {"facts": "{"}, {"facts": "[]"}, {"facts": "{}"}]
)
def test_a_file_without_history_is_refused(state, metadata):
    save_file(load_file(state), state, metadata)
    refused(state, new_model(), "is damaged")


@pytest.mark.parametrize("change", [{"units": 5}, {"optimizer": "sgd"}])
def test_the_state_of_another_training_is_refused(state, change):
    refused(state, new_model(**change), "belongs to another training: its 1")


def test_a_model_that_is_not_compiled_is_refused(state):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    refused(state, model, "must be built and compiled")
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match="must be built and compiled"):
        ExactResume(state.parent).restore(model)


def test_a_stop_while_saving_leaves_the_last_state(state, monkeypatch):
    before = state.read_bytes()

    def stop(tensors, path, metadata):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    module = sys.modules[ExactResume.__module__]
    monkeypatch.setattr(module, "save_file", stop)
    model, resume = new_model(), ExactResume(state.parent)
    resume.restore(model)
    with pytest.raises(KeyboardInterrupt):
        fit(model, resume)
    assert state.read_bytes() == before
    assert [path.name for path in state.parent.iterdir()] == [state.name]


def test_a_full_disk_is_told_and_leaves_the_last_state(state, monkeypatch):
    before = state.read_bytes()

    def fill_up(tensors, path, metadata):
        raise SafetensorError("No space left on device")

    module = sys.modules[ExactResume.__module__]
    monkeypatch.setattr(module, "save_file", fill_up)
    with pytest.raises(
        OSError, match="cannot be written .*No space.*make room"
    ):
        fit(new_model(), ExactResume(state.parent))
    assert state.read_bytes() == before


def test_the_history_is_readable_without_the_model(state):
    with safe_open(state, framework="np") as file:
        facts = json.loads(file.metadata()["facts"])
    assert [set(logs) for logs in facts["history"]] == [{"loss"}, {"loss"}]
