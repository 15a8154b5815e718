"""Heads on cached features as a hypermodel of KerasTuner: trials in no time."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras import ops

from dropzoo.search.head_training import HeadTraining
from dropzoo.search.reusable_head import Logs, ReusableHead
from dropzoo.search.scheduled_hypermodel import ScheduledHyperModel
from dropzoo.search.search_space import SearchSpace
from dropzoo.search.trial_seed import trial_seed

HEAD_PARAMETERS = (
    "hidden_units",
    "dropout",
    "peak_rate",
    "weight_decay",
    "schedule",
)


MOST_KINDS = 8  # of heads that are kept compiled

Folds = Sequence[tuple[np.ndarray, np.ndarray]]


class HeadHyperModel(ScheduledHyperModel):
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
        self._heads: dict[int, list[ReusableHead]] = {}

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

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """The head of a trial, as it begins.

        Args:
            hp: The trial's parameters.

        Returns: A compiled model from features to logits.
        """
        return self._start(self.settings(hp), 0).model

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
        folds: Folds | None = None,
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
            folds: In its place, pairs of positions in `x`: to learn from, and
                to judge by. Each pair has a head of its own, which always
                learns from its beginning; the first is `model`. Logs are
                means, weighted by how many examples a head is judged by.
            callbacks: Of Keras; those that act on batches are not called.
            verbose: Taken, as tuners give it, and without effect.

        Returns: The logs of each epoch.

        Raises: ValueError when `model` is of another trial, or `folds` are
            none, or given beside `validation_data`.
        """
        drawn = self.settings(hp)
        heads = self._heads.get(drawn["hidden_units"])
        if not heads or heads[0].model is not model:
            raise ValueError(
                "HeadHyperModel: `model` must be what `build` gave for `hp`. "
                f"Received: {model.name}"
            )
        trainings = self._trainings(drawn, epochs, x, y, validation_data, folds)
        history = keras.callbacks.History()
        events = keras.callbacks.CallbackList(
            [*callbacks, history], model=model
        )
        if folds is None:
            trainings[0].go_on(initial_epoch)
        else:
            for epoch in range(initial_epoch):
                _epoch(trainings, epoch)
        logs: Logs = {}
        events.on_train_begin()
        for epoch in range(initial_epoch, epochs):
            events.on_epoch_begin(epoch)
            logs = _epoch(trainings, epoch)
            events.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        events.on_train_end(logs)
        return history

    def _trainings(
        self,
        drawn: Mapping[str, Any],
        epochs: int,
        x: Any,
        y: Any,
        validation_data: Any,
        folds: Folds | None,
    ) -> list[HeadTraining]:
        """One, or one for each fold, which then begins anew."""
        x, y = np.asarray(x), np.asarray(y)
        examples = _pair(x, y)
        if folds is None:
            judged = (
                None if validation_data is None else _pair(*validation_data)
            )
            heads = self._heads[drawn["hidden_units"]][:1]
            parts = [(np.arange(len(x)), judged)]
        else:
            if validation_data is not None or not len(folds):
                raise ValueError(
                    "HeadHyperModel: `folds` must hold at least one pair, and "
                    "take the place of `validation_data`. Received: "
                    f"{len(folds)} pairs, validation_data of type "
                    f"{type(validation_data).__name__}"
                )
            heads = [self._start(drawn, i) for i in range(len(folds))]
            parts = [(rows, _pair(x[held], y[held])) for rows, held in folds]
        return [
            HeadTraining(
                head,
                examples,
                rows,
                judged,
                drawn,
                epochs=epochs,
                batch_size=self.batch_size,
                seed=trial_seed(drawn, self.seed),
            )
            for head, (rows, judged) in zip(heads, parts, strict=True)
        ]

    def _start(self, drawn: Mapping[str, Any], number: int) -> ReusableHead:
        """A head at its beginning; folds have several of the same kind."""
        units = drawn["hidden_units"]
        if units not in self._heads and len(self._heads) == MOST_KINDS:
            self._heads.pop(next(iter(self._heads)))
        heads = self._heads.setdefault(units, [])
        if number == len(heads):
            heads.append(
                ReusableHead(self.num_features, self.num_classes, units)
            )
        heads[number].start(
            dropout=drawn["dropout"],
            weight_decay=drawn["weight_decay"],
            seed=trial_seed(drawn, self.seed),
        )
        return heads[number]


def _epoch(trainings: Sequence[HeadTraining], number: int) -> Logs:
    """Makes an epoch of each, and takes the mean of what they log."""
    logs = [training.epoch(number) for training in trainings]
    if len(logs) == 1:
        return logs[0]
    shares = [training.num_judged for training in trainings]
    return {
        name: float(np.average([each[name] for each in logs], weights=shares))
        for name in logs[0]
    }


def _pair(x: Any, y: Any) -> tuple[Any, Any]:
    labels = np.asarray(y, "int32").reshape(-1)
    return ops.convert_to_tensor(np.asarray(x, "float32")), (
        ops.convert_to_tensor(labels)
    )
