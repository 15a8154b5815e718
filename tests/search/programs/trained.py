"""Searches over real trainings, which can be told to be killed.

    python trained.py PROJECT_FOLDER

`KILL_ONCE` names a file: the first trial to begin its third epoch while there
is none makes it, and kills the search. `CHIEF` and `WORKER` share the search.
"""

import os
import signal
import sys
import time
from pathlib import Path

import keras
import keras_tuner
import numpy as np

OPTIONS = {"max_trials": 4, "epochs": (1, 4), "checkpoint_seconds": 0.0}


class Trained(keras_tuner.HyperModel):
    """A linear network with dropout."""

    def build(self, hp):
        rate = hp.Float("rate", 1e-3, 1.0, sampling="log")
        kind = hp.Choice("kind", ["sgd", "adam"])
        layers = [keras.layers.Dropout(0.2), keras.layers.Dense(3)]
        model = keras.Sequential([keras.Input((4,)), *layers])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        optimizer = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}
        model.compile(optimizer[kind](rate), loss, metrics=["accuracy"])
        return model

    def fit(self, hp, model, *args, callbacks, initial_epoch=0, **options):
        return model.fit(
            *args,
            callbacks=[*callbacks, KillOnce(initial_epoch)],
            initial_epoch=initial_epoch,
            **options,
        )


class KillOnce(keras.callbacks.Callback):
    """Kills the search once, and notes where trainings begin."""

    def __init__(self, initial_epoch):
        super().__init__()
        self.initial_epoch = initial_epoch

    def on_epoch_begin(self, epoch, logs=None):
        marker = os.environ.get("KILL_ONCE")
        if not marker:
            return
        if Path(marker).exists():
            with open(marker, "a") as file:
                print(self.initial_epoch, epoch, file=file)
        elif epoch == 2:
            Path(marker).touch()
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(48, 4)).astype("float32")
    return x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)


def make_search(project, hypermodel=None, **options):
    from dropzoo.search import CoarseToFine

    return CoarseToFine(
        hypermodel or Trained(),
        directory=Path(project).parent,
        project_name=Path(project).name,
        **{**OPTIONS, **options},
    )


if __name__ == "__main__":
    from dropzoo.search import share_search

    lost_after = 3.0
    if "CHIEF" in os.environ:
        share_search(os.environ["CHIEF"], worker=os.environ.get("WORKER"))
    tuner = make_search(sys.argv[1], max_trials=8, lost_after=lost_after)
    x, y = data()
    tuner.search(x, y, validation_data=(x, y), batch_size=16)
