import keras
import numpy as np
import pytest
from rich.progress import Progress

from dropzoo.callbacks import ProgressBar


@pytest.fixture
def progress():
    return Progress(disable=True)


def test_every_batch_advances_the_bar_and_shows_the_loss(progress):
    task = progress.add_task("training", total=8)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    bar = ProgressBar(progress, task, "final")
    x = np.ones((16, 2), "float32")
    history = model.fit(
        x, x[:, :1], batch_size=4, epochs=2, callbacks=[bar], verbose=0
    )
    assert progress.tasks[0].completed == 8
    loss = history.history["loss"][-1]
    assert progress.tasks[0].description == f"final, loss {loss:.3f}"


def test_a_bar_may_be_shared_and_stand_in_the_middle(progress):
    task = progress.add_task("training", total=8)
    progress.advance(task, 3)
    ProgressBar(progress, task, "fold 1").on_train_batch_end(0, {"loss": 1.0})
    ProgressBar(progress, task, "fold 2").on_train_batch_end(0)
    assert progress.tasks[0].completed == 5
    assert progress.tasks[0].description == "fold 2, loss nan"
