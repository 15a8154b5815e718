"""The callback notes what a training does, and says what it shows."""

import keras
import numpy as np
import pytest

from dropzoo.callbacks import CurveDiagnosis, ExactResume

X = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")
Y = np.arange(40) % 2


def build(rate=0.1, l2=0.0):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(
                2, kernel_regularizer=keras.regularizers.L2(l2) if l2 else None
            ),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate), loss)
    return model


def fit(model, diagnosis, epochs=3, **options):
    return model.fit(
        X,
        Y,
        batch_size=8,
        epochs=epochs,
        shuffle=False,
        callbacks=[diagnosis],
        verbose=0,
        **options,
    )


def test_it_notes_the_losses():
    said = []
    diagnosis = CurveDiagnosis(say=said.append)
    history = fit(build(), diagnosis, validation_data=(X, Y)).history
    curve = diagnosis.curve()
    np.testing.assert_allclose(curve.loss, history["loss"])
    np.testing.assert_allclose(curve.val_loss, history["val_loss"])
    assert len(curve.parts) == 3 * 4
    assert curve.chance == pytest.approx(np.log(2))
    assert said


def test_the_first_loss_is_that_of_the_first_batch():
    model, diagnosis = build(), CurveDiagnosis(say=lambda sentence: None)
    expected = model.evaluate(X[:8], Y[:8], verbose=0)
    fit(model, diagnosis, epochs=1)
    assert diagnosis.curve().first == pytest.approx(expected, rel=1e-5)


def test_parts_are_means_of_batches():
    diagnosis = CurveDiagnosis(say=lambda sentence: None)
    fit(build(rate=0.0), diagnosis, epochs=1)
    model = build()
    losses = [
        model.evaluate(X[i : i + 8], Y[i : i + 8], verbose=0)
        for i in range(0, 40, 8)
    ]
    expected = [np.mean(part) for part in np.array_split(losses, 4)]
    np.testing.assert_allclose(diagnosis.curve().parts, expected, rtol=1e-4)


def test_the_penalty_of_regularisers_is_known():
    model, diagnosis = build(l2=0.5), CurveDiagnosis(say=lambda sentence: None)
    kernel = model.layers[0].get_weights()[0]
    fit(model, diagnosis, epochs=1)
    assert diagnosis.curve().penalty == pytest.approx(0.5 * (kernel**2).sum())


def test_the_last_penalty_is_that_of_the_trained_weights():
    model, diagnosis = build(l2=0.5), CurveDiagnosis(say=lambda sentence: None)
    fit(model, diagnosis)
    kernel = model.layers[0].get_weights()[0]
    last = 0.5 * (kernel**2).sum()
    assert diagnosis.curve().last_penalty == pytest.approx(last)
    assert last < diagnosis.curve().penalty


@pytest.mark.slow(ci=True)
def test_dropout_layers_are_known_if_fit_builds_the_model():
    diagnosis = CurveDiagnosis(say=lambda sentence: None)
    inner = keras.Sequential(
        [keras.layers.Dense(6), keras.layers.Dropout(0.25)]
    )
    model = keras.Sequential(
        [keras.layers.Dropout(0.5), inner, keras.layers.Dense(2)]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    fit(model, diagnosis)
    assert diagnosis.curve().dropouts == [0.5, 0.25]
    assert diagnosis.curve().turns  # known once there are weights


def test_short_steps_go_straight_on():
    diagnosis = CurveDiagnosis(say=lambda sentence: None)
    fit(build(rate=1e-3), diagnosis)
    assert len(diagnosis.curve().turns) == 2
    assert max(diagnosis.curve().paces) < 1e-3
    assert min(diagnosis.curve().turns) > 0.99


def test_divergence_is_said_once_and_at_once():
    said = []
    diagnosis = CurveDiagnosis(say=said.append)

    class Noting(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            said.append(epoch)

    model = build(rate=1e30)
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[diagnosis, Noting()])
    early = [x for x in said[: said.index(1)] if isinstance(x, str)]
    assert len(early) == 1
    assert early[0].startswith("CurveDiagnosis: the training diverges: the")
    assert said[-1].startswith("CurveDiagnosis: diverging: ")
    assert diagnosis.finding.fault == "diverging"


def test_a_second_fit_goes_on_with_the_curve():
    model, diagnosis = build(), CurveDiagnosis(say=lambda sentence: None)
    first = fit(model, diagnosis).history["loss"]
    second = fit(model, diagnosis).history["loss"]
    np.testing.assert_allclose(diagnosis.curve().loss, first + second)


class Stop(keras.callbacks.Callback):
    """Ends a training in the middle of its second epoch."""

    def __init__(self, at):
        super().__init__()
        self.at = at
        self.steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps == self.at:
            raise KeyboardInterrupt

    def get_state(self):
        return {}

    def set_state(self, state):
        pass


@pytest.mark.slow(ci=True)
def test_a_resumed_training_has_the_same_curve(tmp_path):
    def batches(step):
        for number in range(step, 15):
            rows = slice(8 * (number % 5), 8 * (number % 5) + 8)
            yield X[rows], Y[rows]

    curves = []
    for name, stops in (("whole", [99]), ("stopped", [8, 99])):
        for at in stops:
            diagnosis = CurveDiagnosis(say=lambda sentence: None)
            resume = ExactResume(tmp_path / name, save_freq=2)
            try:
                resume.fit(
                    build(),
                    batches,
                    epochs=3,
                    steps_per_epoch=5,
                    callbacks=[diagnosis, Stop(at)],
                    verbose=0,
                )
            except KeyboardInterrupt:
                assert diagnosis.get_state()["seen"] == 3
        state = diagnosis.get_state()
        curves.append(state | state.pop("path"))
    whole, stopped = curves
    assert len(whole["loss"]) == 3
    assert len(whole["turns"]) == 2
    for key, value in whole.items():
        np.testing.assert_allclose(stopped[key], value, rtol=1e-6)
