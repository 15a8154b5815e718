import keras
import numpy as np
import pytest

from dropzoo.callbacks import CallAfterBatch


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_it_is_called_once_for_each_batch(model):
    x, y = np.zeros((6, 2)), np.zeros(6)
    calls = []
    callbacks = [CallAfterBatch(lambda: calls.append(None))]
    options = {"batch_size": 2, "callbacks": callbacks, "verbose": 0}
    model.fit(x, y, epochs=2, validation_data=(x[:4], y[:4]), **options)
    assert len(calls) == 2 * (3 + 2)
    model.evaluate(x, y, **options)
    assert len(calls) == 13
    model.predict(x, **options)
    assert len(calls) == 16


def test_what_it_raises_ends_the_training(model):
    calls = []

    def stop():
        calls.append(None)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(
            np.zeros((6, 2)),
            np.zeros(6),
            batch_size=1,
            callbacks=[CallAfterBatch(stop)],
            verbose=0,
        )
    assert model.optimizer.iterations == 2
