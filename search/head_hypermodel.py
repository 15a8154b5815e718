"""Heads on cached features as a hypermodel of KerasTuner: trials in no time."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras import ops

from dropzoo import schedules
from dropzoo.search.reusable_head import ReusableHead
from dropzoo.search.search_space import SearchSpace
from dropzoo.search.trial_seed import trial_seed

HEAD_PARAMETERS = (
    "hidden_units",
    "dropout",
    "peak_rate",
    "weight_decay",
    "schedule",
)


MOST_HEADS = 8  # that are kept compiled


class HeadHyperModel(keras_tuner.HyperModel):
    """Heads on the features of a frozen network, with AdamW.

    `build` gives one model for each number of hidden units, the same one in
    every trial, put back to its beginning: hundreds of trials take seconds,
    and no memory. What a trial comes to follows from `seed` and from what it
    has drawn. Features should be centred and of unit spread, as
    `evaluation.feature_scaling.Scaling` makes them.

    It can be pickled, and goes to any tuner of KerasTuner. Of the models that
    a tuner gives back, those with equally many hidden units are one and the
    same: ask for them one at a time.

    Args:
        num_features: Channels of the features, at least 1.
        num_classes: Number of classes, at least 1.
        space: The ranges; `hidden_units`, `dropout`, `peak_rate`,
            `weight_decay` and `schedule` are used. Defaults to
            `SearchSpace()`.
        batch_size: Examples in a step; fewer where there are no more. The
            remainder of an epoch is left out; it is another one in each.
        seed: Integer in [0, 2**31).
        name: Of the hypermodel.

    Raises: ValueError when an argument is below 1.

    Example:

    ```python
    tuner = keras_tuner.RandomSearch(
        HeadHyperModel(num_features=1280, num_classes=14),
        objective="val_accuracy",
        max_trials=200,
    )
    tuner.search(x, y, validation_data=(x_val, y_val), epochs=20)
    ```
    """

    # `CoarseToFine` may stop and go on between any two epochs.
    fits_from_any_epoch = True

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        *,
        space: SearchSpace | None = None,
        batch_size: int = 64,
        seed: int = 0,
        name: str | None = None,
    ):
        super().__init__(name=name)
        for argument, value in (
            ("num_features", num_features),
            ("num_classes", num_classes),
            ("batch_size", batch_size),
        ):
            if not value >= 1:
                raise ValueError(
                    f"HeadHyperModel: `{argument}` must be at least 1. "
                    f"Received: {argument}={value!r}"
                )
        self.num_features = num_features
        self.num_classes = num_classes
        self.space = space
        self.batch_size = batch_size
        self.seed = seed
        self._heads: dict[int, ReusableHead] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_heads": {}}

    def settings(self, hp: keras_tuner.HyperParameters) -> Mapping[str, Any]:
        """What a trial has drawn.

        Args:
            hp: The trial's parameters.
        """
        space = self.space or SearchSpace()
        for name in HEAD_PARAMETERS:
            if name not in hp:
                space[name].declare(hp, name)
        return {name: hp.get(name) for name in HEAD_PARAMETERS}

    def schedule(
        self, hp: keras_tuner.HyperParameters, steps: int
    ) -> keras.optimizers.schedules.LearningRateSchedule:
        """The learning rate of a trial.

        Args:
            hp: The trial's parameters.
            steps: Number of steps of the whole training.
        """
        drawn = self.settings(hp)
        return schedules.get(
            drawn["schedule"], peak=drawn["peak_rate"], steps=steps
        )

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """The head of a trial, as it begins.

        Args:
            hp: The trial's parameters.

        Returns: A compiled model from features to logits.
        """
        return self._start(self.settings(hp)).model

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        x: Any,
        y: Any,
        *,
        epochs: int = 20,
        initial_epoch: int = 0,
        validation_data: Any = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: Any = 0,
    ) -> keras.callbacks.History:
        """Trains the head of a trial.

        Args:
            hp: The trial's parameters.
            model: What `build` gave for them.
            x: Features `(examples, num_features)`.
            y: Classes `(examples,)`.
            epochs: Passes over the examples, with which the schedule ends.
            initial_epoch: Where to go on.
            validation_data: Features and classes to judge by.
            callbacks: Of Keras; those that act on batches are not called.
            verbose: Taken, as tuners give it, and without effect.

        Returns: The logs of each epoch.

        Raises: ValueError when `model` is of another trial.
        """
        drawn = self.settings(hp)
        head = self._heads.get(drawn["hidden_units"])
        if head is None or head.model is not model:
            raise ValueError(
                "HeadHyperModel: `model` must be what `build` gave for `hp`. "
                f"Received: {model.name}"
            )
        x, y = _pair(x, y)
        held_out = None if validation_data is None else _pair(*validation_data)
        order = _Order(len(x), self.batch_size, trial_seed(drawn, self.seed))
        rates = _rates(drawn, epochs * order.steps)
        model.optimizer.iterations.assign(initial_epoch * order.steps)
        history = keras.callbacks.History()
        events = keras.callbacks.CallbackList(
            [*callbacks, history], model=model
        )
        logs: dict[str, float] = {}
        events.on_train_begin()
        for epoch in range(initial_epoch, epochs):
            events.on_epoch_begin(epoch)
            steps = slice(epoch * order.steps, (epoch + 1) * order.steps)
            logs = head.train(x, y, order.epoch(epoch), rates[steps])
            if held_out is not None:
                judged = head.score(*held_out)
                logs |= {f"val_{name}": judged[name] for name in judged}
            events.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        events.on_train_end(logs)
        return history

    def _start(self, drawn: Mapping[str, Any]) -> ReusableHead:
        units = drawn["hidden_units"]
        if units not in self._heads:
            if len(self._heads) == MOST_HEADS:
                self._heads.pop(next(iter(self._heads)))
            self._heads[units] = ReusableHead(
                self.num_features, self.num_classes, units
            )
        self._heads[units].start(
            dropout=drawn["dropout"],
            weight_decay=drawn["weight_decay"],
            seed=trial_seed(drawn, self.seed),
        )
        return self._heads[units]


class _Order:
    """Which examples each step of an epoch sees."""

    def __init__(self, num_examples: int, batch_size: int, seed: int):
        self.num_examples = num_examples
        self.batch_size = min(batch_size, num_examples)
        self.steps = num_examples // self.batch_size
        self.seed = seed

    def epoch(self, number: int) -> np.ndarray:
        """`(steps, batch)`, int32."""
        rng = np.random.default_rng((self.seed, number))
        order = rng.permutation(self.num_examples).astype("int32")
        used = order[: self.steps * self.batch_size]
        return used.reshape(self.steps, self.batch_size)


def _rates(drawn: Mapping[str, Any], steps: int) -> np.ndarray:
    rates = drawn["peak_rate"] * _unit_rates(drawn["schedule"], steps)
    return rates.astype("float32")


@functools.cache
def _unit_rates(schedule: str, steps: int) -> np.ndarray:
    """The rates of a schedule whose peak is 1: all of them scale with it."""
    rate = schedules.get(schedule, peak=1.0, steps=steps)
    return np.array([float(rate(step)) for step in range(steps)])


def _pair(x: Any, y: Any) -> tuple[Any, Any]:
    labels = np.asarray(y, "int32").reshape(-1)
    return ops.convert_to_tensor(np.asarray(x, "float32")), (
        ops.convert_to_tensor(labels)
    )
