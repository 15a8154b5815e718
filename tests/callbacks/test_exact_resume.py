import json
import random
import re
import shutil
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from dropzoo.callbacks import ExactResume

EPOCHS, STEPS = 3, 4
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(32, 6)).astype("float32")
LABELS = (IMAGES[:, 0] > 0).astype("int32")


def batches(step):
    """Data that follow from the step alone."""
    for number in range(step, EPOCHS * STEPS):
        chosen = np.random.default_rng([3, number]).integers(0, 32, 8)
        yield IMAGES[chosen], LABELS[chosen]


def new_model(units=8, optimizer=None):
    x = keras.Input((6,))
    y = keras.layers.Dense(units, activation="relu")(x)
    y = keras.layers.BatchNormalization()(y)
    y = keras.layers.Dropout(0.5)(y)
    model = keras.Model(x, keras.layers.Dense(2)(y))
    model.compile(
        optimizer or keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        run_eagerly=True,  # sooner begun
    )
    return model


class Stop(keras.callbacks.Callback):
    """Interrupts a training once, and counts its batches."""

    def __init__(self, at=None, when="after"):
        super().__init__()
        self.at, self.when, self.count = at, when, 0

    def get_state(self):
        return {"count": self.count}

    def set_state(self, state):
        self.count = state["count"]

    def on_train_batch_begin(self, batch, logs=None):
        if self.when == "before" and self.count + 1 == self.at:
            raise KeyboardInterrupt

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1
        if self.when == "after" and self.count == self.at:
            raise KeyboardInterrupt


def train(folder, *callbacks, model=None, epochs=EPOCHS, **options):
    """Trains in that folder; returns the model and what it was trained by."""
    random.seed(1)
    model = model or new_model()
    resume = ExactResume(folder, **options)
    resume.fit(
        model,
        batches,
        epochs=epochs,
        steps_per_epoch=STEPS,
        callbacks=callbacks,
        validation_data=(IMAGES, LABELS),
        verbose=0,
    )
    return model, resume


def bits(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(x).tobytes() for x in variables]


def newest(folder):
    return max(folder.glob("step-*.safetensors"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that was left alone."""
    return train(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize(
    ("save_freq", "stops"),
    [
        pytest.param("epoch", (1, 12), marks=pytest.mark.slow(ci=True)),
        pytest.param(1, (4, 5), marks=pytest.mark.slow(ci=True)),
        (3, (3, 8)),
    ],
)
def test_a_stopped_training_ends_to_the_bit(tmp_path, whole, save_freq, stops):
    for step in stops:
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, Stop(step), save_freq=save_freq)
    counter = Stop()
    model, resume = train(tmp_path, counter, save_freq=save_freq)
    assert counter.count == EPOCHS * STEPS
    assert resume.history == whole[1].history and len(resume.history) == EPOCHS
    assert bits(model) == bits(whole[0])


def callbacks_of_keras(folder):
    yield keras.callbacks.EarlyStopping(
        "accuracy", patience=2, mode="max", restore_best_weights=True
    )
    yield keras.callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=9)
    yield keras.callbacks.LearningRateScheduler(lambda _, rate: 0.5 * rate)
    yield keras.callbacks.TerminateOnNaN()
    yield keras.callbacks.ModelCheckpoint(
        folder / "best.keras", monitor="loss", save_best_only=True
    )


@pytest.mark.slow(ci=True)
def test_callbacks_of_keras_go_on_too(tmp_path):
    def run(folder, stop=None):
        return train(
            folder, Stop(stop), *callbacks_of_keras(folder), save_freq=1
        )

    alone, resume = run(tmp_path / "alone")
    for step in (3, 9):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "stopped", step)
    stopped, again = run(tmp_path / "stopped")
    assert again.history == resume.history
    assert bits(stopped) == bits(alone)


def test_a_training_that_a_callback_ended_stays_ended(tmp_path):
    def end():
        # Nothing is 10 better than before, so the second epoch is the last.
        return keras.callbacks.EarlyStopping("loss", min_delta=10, patience=1)

    model, resume = train(tmp_path, end())
    assert len(resume.history) == 2
    again, restored = train(tmp_path, end())
    assert restored.history == resume.history
    assert bits(again) == bits(model)


def test_a_complete_training_is_given_back_as_it_is(tmp_path, whole):
    train(tmp_path, Stop())
    callback = Stop()
    model, resume = train(tmp_path, callback)
    assert resume.history == whole[1].history
    assert bits(model) == bits(whole[0])
    assert callback.model is model and callback.count == EPOCHS * STEPS


def test_what_a_callback_does_at_the_end_is_done_once(tmp_path):
    class Halve(Stop):
        def on_train_end(self, logs=None):
            halves = [0.5 * weight for weight in self.model.get_weights()]
            self.model.set_weights(halves)

    model, _ = train(tmp_path, Halve())
    again, _ = train(tmp_path, Halve())
    assert bits(again) == bits(model)
    (tmp_path / "end.safetensors").unlink()  # killed before it was written
    again, _ = train(tmp_path, Halve())
    assert bits(again) == bits(model)


def test_more_epochs_go_on_behind_the_last(tmp_path, whole):
    train(tmp_path, epochs=1)
    model, resume = train(tmp_path)
    assert resume.history == whole[1].history
    assert bits(model) == bits(whole[0])


@pytest.mark.slow(ci=True)
def test_the_rest_of_an_epoch_is_not_an_epoch_of_its_own(tmp_path, whole):
    class Epochs(Stop):
        epochs = ()

        def on_epoch_end(self, epoch, logs=None):
            self.epochs += ((epoch, self.count),)

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, Epochs(6), save_freq=1)
    rest = Epochs()
    train(tmp_path, rest, save_freq=1)
    assert rest.epochs == ((1, 8), (2, 12))


@pytest.mark.slow(ci=True)
def test_what_another_callback_stops_in_the_resumed_epoch_stays_stopped(
    tmp_path,
):
    class End(Stop):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, End(2), save_freq=1)
    _, resume = train(tmp_path, End(), save_freq=1)
    assert len(resume.history) == 1


def with_warnings(function, *arguments):
    """What a function returns, and what it warns of."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        result = function(*arguments)
    told = [str(x.message) for x in seen if x.category is UserWarning]
    return result, " ".join(told)


@pytest.fixture(scope="module")
def two_epochs(tmp_path_factory):
    """The folder of a training that was killed behind its second epoch."""
    folder = tmp_path_factory.mktemp("two-epochs")
    train(folder, epochs=2)
    (folder / "end.safetensors").unlink()
    return folder


@pytest.mark.parametrize(
    "share", [pytest.param(0.0, marks=pytest.mark.slow(ci=True)), 0.9]
)
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(
    tmp_path, two_epochs, whole, share
):
    folder = shutil.copytree(two_epochs, tmp_path / "copy")
    damaged = newest(folder)
    content = damaged.read_bytes()
    damaged.write_bytes(content[: int(share * len(content))])
    (model, resume), told = with_warnings(train, folder)
    assert re.search("000008.safetensors is damaged.*000004.*is used", told)
    assert resume.history == whole[1].history
    assert bits(model) == bits(whole[0])


@pytest.mark.slow(ci=True)
def test_a_foreign_checkpoint_is_told_and_the_one_before_is_used(
    tmp_path, whole
):
    train(tmp_path, epochs=1)
    train(tmp_path / "other", model=new_model(units=5), epochs=2)
    (tmp_path / "end.safetensors").unlink()
    foreign = newest(tmp_path / "other")
    foreign.rename(tmp_path / foreign.name)
    (model, _), told = with_warnings(train, tmp_path)
    assert re.search("belongs to another training.*000004.* is used", told)
    assert bits(model) == bits(whole[0])


@pytest.fixture(scope="module")
def one_epoch(tmp_path_factory):
    """The only checkpoint of a training of one epoch."""
    folder = tmp_path_factory.mktemp("one-epoch")
    train(folder, epochs=1)
    (folder / "end.safetensors").unlink()
    return newest(folder)


@pytest.fixture
def checkpoint(one_epoch, tmp_path):
    """A copy of it, to be spoilt."""
    return Path(shutil.copy(one_epoch, tmp_path))


def test_a_damaged_end_is_told_and_the_last_step_is_used(tmp_path, whole):
    folder = shutil.copytree(whole[1].directory, tmp_path / "copy")
    (folder / "end.safetensors").write_bytes(b"")
    (model, _), told = with_warnings(train, folder)
    assert re.search("end.safetensors is damaged.*0012.*is used", told)
    assert bits(model) == bits(whole[0])


def refused(checkpoint, match, model=None, **options):
    model = model or new_model()
    before = [x.tobytes() for x in model.get_weights()]
    with pytest.raises(ValueError, match=match):
        train(checkpoint.parent, model=model, **options)
    assert [x.tobytes() for x in model.get_weights()] == before


@pytest.mark.parametrize(
    "metadata", [None, {}, {"facts": "{"}, {"facts": "[]"}, {"facts": "{}"}]
)
def test_a_file_without_facts_is_refused(checkpoint, metadata):
    save_file(load_file(checkpoint), checkpoint, metadata)
    refused(checkpoint, "is damaged .*delete it")


def test_a_file_of_another_kind_is_refused(checkpoint):
    checkpoint.write_text("<html>")
    refused(checkpoint, "is damaged")


@pytest.mark.parametrize(
    ("model", "match"),
    [
        ({"units": 5}, "its 2. tensors are not the 2. of this model"),
        ({"optimizer": keras.optimizers.SGD()}, "tensors are not the"),
        ({"optimizer": keras.optimizers.Adam(0.01, beta_1=0.8)}, "`optimizer`"),
        (
            {
                "optimizer": keras.optimizers.Adam(
                    keras.optimizers.schedules.CosineDecay(0.01, 12)
                )
            },
            "another `optimizer`|tensors are not the",
        ),
    ],
)
def test_the_checkpoint_of_another_training_is_refused(
    checkpoint, model, match
):
    refused(checkpoint, match, model=new_model(**model))


def test_other_callbacks_are_another_training(checkpoint):
    with pytest.raises(ValueError, match="made with another `callbacks`"):
        train(checkpoint.parent, Stop())


def test_a_callback_that_keeps_its_state_to_itself_is_refused(tmp_path):
    class Secretive(keras.callbacks.Callback):
        pass

    with pytest.raises(TypeError, match="Received: Secretive, which has not"):
        train(tmp_path, Secretive())
    with pytest.raises(TypeError, match="Received: CSVLogger"):
        train(tmp_path, keras.callbacks.CSVLogger(tmp_path / "log.csv"))
    assert not list(tmp_path.iterdir())


def test_a_state_that_no_file_can_hold_is_refused(tmp_path):
    class Wrong(Stop):
        def get_state(self):
            return {"what": {1, 2}}

    with pytest.raises(TypeError, match="callback/0/what of type set"):
        train(tmp_path, Wrong())


def test_a_model_that_is_not_compiled_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="must be built and compiled"):
        train(tmp_path, model=model)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match="must be built and compiled"):
        train(tmp_path, model=model)


@pytest.mark.parametrize("save_freq", [0, -1, 0.5, "step"])
def test_a_frequency_that_is_none_is_refused(tmp_path, save_freq):
    with pytest.raises(ValueError, match="`save_freq` must be 'epoch' or an"):
        ExactResume(tmp_path, save_freq=save_freq)


def test_it_is_not_for_the_fit_of_the_model(tmp_path):
    with pytest.raises(ValueError, match=r"resume\.fit\(model, batches, "):
        new_model().fit(
            IMAGES, LABELS, callbacks=[ExactResume(tmp_path)], verbose=0
        )


def test_the_newest_two_checkpoints_are_kept(tmp_path):
    train(tmp_path, save_freq=1)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "end.safetensors",
        "step-000000011.safetensors",
        "step-000000012.safetensors",
    ]


def test_what_a_killed_process_was_writing_is_removed(tmp_path, whole):
    (tmp_path / ".part-1-step-000000004.safetensors").write_bytes(b"half")
    model, _ = train(tmp_path)
    assert not list(tmp_path.glob(".part*"))
    assert bits(model) == bits(whole[0])


def test_a_stop_while_saving_leaves_the_last_checkpoint(
    checkpoint, monkeypatch
):
    before = checkpoint.read_bytes()

    def stop(tensors, path, metadata):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    module = sys.modules["dropzoo.callbacks.checkpoint_files"]
    monkeypatch.setattr(module, "save_file", stop)
    with pytest.raises(KeyboardInterrupt):
        train(checkpoint.parent)
    assert checkpoint.read_bytes() == before
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_a_full_disk_is_told_and_leaves_the_last_checkpoint(
    checkpoint, monkeypatch
):
    before = checkpoint.read_bytes()

    def fill_up(tensors, path, metadata):
        raise SafetensorError("No space left on device")

    module = sys.modules["dropzoo.callbacks.checkpoint_files"]
    monkeypatch.setattr(module, "save_file", fill_up)
    with pytest.raises(
        OSError, match="cannot be written .*No space.*make room"
    ):
        train(checkpoint.parent)
    assert checkpoint.read_bytes() == before


def test_the_history_is_readable_without_the_model(checkpoint):
    with safe_open(checkpoint, framework="np") as file:
        facts = json.loads(file.metadata()["facts"])
    assert [set(logs) for logs in facts["history"]] == [
        {"accuracy", "loss", "val_accuracy", "val_loss"}
    ]
