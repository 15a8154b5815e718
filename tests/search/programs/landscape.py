"""Searches whose scores are formulas, for tests and other processes."""

import math
import os
import signal

import keras
import keras_tuner


class Landscape(keras_tuner.HyperModel):
    """Best at a rate of 1e-3; trains nothing.

    Args:
        interrupt_at: Number of `fit` calls after which it raises
            KeyboardInterrupt.
    """

    def __init__(self, interrupt_at=None):
        super().__init__()
        self.interrupt_at = interrupt_at
        self.fits = 0

    def build(self, hp):
        hp.Float("rate", 1e-6, 1.0, sampling="log")
        hp.Choice("optimizer", ["sgd", "adam"])
        with hp.conditional_scope("optimizer", ["sgd"]):
            hp.Float("momentum", 0.0, 0.9)
        return keras.Sequential()

    def fit(self, hp, model, *, callbacks, epochs, initial_epoch=0, **options):
        self.fits += 1
        model.stop_training = False
        if self.fits == self.interrupt_at:
            raise KeyboardInterrupt
        for callback in callbacks:
            callback.set_model(model)
        for epoch in range(initial_epoch, epochs):
            for callback in callbacks:
                callback.on_epoch_end(epoch, self.logs(hp.values, epoch))
            if model.stop_training:
                return

    def logs(self, values, epoch):
        height = math.exp(-((math.log10(values["rate"]) + 3) ** 2) / 4)
        height *= 0.9 if values["optimizer"] == "sgd" else 1.0
        return {
            "loss": 1 - height,
            "val_accuracy": height * (1 - 0.5**epoch / 2),
        }


class Weighty(Landscape):
    """Has weights to keep."""

    def build(self, hp):
        super().build(hp)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model


class Mishaps(Landscape):
    """Fails in the way that a parameter names."""

    ways = ("none", "raise", "diverge", "memory")

    def build(self, hp):
        hp.Choice("way", list(self.ways))
        return keras.Sequential()

    def logs(self, values, epoch):
        match values["way"]:
            case "raise":
                raise ValueError("no such photo\nin the folder")
            case "diverge":
                return {"loss": math.nan, "val_accuracy": 0.1}
            case "memory":
                raise MemoryError
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
        return {"loss": 0.1, "val_accuracy": 0.5}


class Killing(Mishaps):
    """Kills its process besides."""

    ways = ("none", "kill", "raise")


class Flawed(Landscape):
    """Raises the same error in every trial."""

    def logs(self, values, epoch):
        raise ValueError("a flaw of the program")


class Fatal(Landscape):
    """Asks for the end of the search."""

    def logs(self, values, epoch):
        raise keras_tuner.errors.FatalValueError("no photos at all")


class Diverging(Landscape):
    """Diverges in every trial."""

    def logs(self, values, epoch):
        return {"loss": math.inf, "val_accuracy": 0.1}


class Returning(Landscape):
    """Gives its score at the end.

    Args:
        result: What `fit` returns.
    """

    def __init__(self, result):
        super().__init__()
        self.result = result

    def fit(self, hp, model, **options):
        return self.result
