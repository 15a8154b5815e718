"""The networks of the zoo and their training as a hypermodel of KerasTuner."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from dropzoo.callbacks import ExactResume
from dropzoo.data.augmentation import Augmentation
from dropzoo.data.examples import Examples
from dropzoo.data.pipeline import (
    evaluation_batches,
    image_errors,
    steps_per_epoch,
    training_batches,
)
from dropzoo.models.catalogue import find_weights, model_info
from dropzoo.search.declaring import declare, settings
from dropzoo.search.scheduled_hypermodel import ScheduledHyperModel
from dropzoo.search.search_space import SearchSpace
from dropzoo.search.trial_images import as_examples
from dropzoo.search.trial_network import Shape, build_network
from dropzoo.search.trial_seed import trial_seed


class ZooHyperModel(ScheduledHyperModel):
    """Networks of the zoo with everything that `SearchSpace` lists.

    A trial is a network with a new head, compiled with AdamW, and its training
    on images of any size. Its seed follows from `seed` and from what it has
    drawn, so that equal trials have equal scores in any order and process, as
    far as the backend's kernels are exact (`dropzoo.set_deterministic`).

    It can be pickled, and goes to any tuner of KerasTuner.

    Args:
        num_classes: Number of classes, at least 1.
        input_shape: `(height, width, 3)` where the space has no `image_size`.
            Defaults to that of each network.
        space: The ranges. Defaults to `SearchSpace()`.
        weights: What the networks start from, as `create_model` takes it: a
            tag, which each backbone of the space must have, or a file.
            Defaults to random weights.
        batch_size: Images in a step; fewer where there are no more.
        flips: Whether a mirrored image keeps its label.
        seed: Integer in [0, 2**31).
        name: Of the hypermodel.

    Raises: ValueError when an argument breaks its rule, or a backbone of the
        space has no such weights, or nothing that `freeze` holds.

    Example:

    ```python
    space = SearchSpace().changed(backbone="resnet20_cifar")
    tuner = keras_tuner.RandomSearch(
        ZooHyperModel(10, input_shape=(32, 32, 3), space=space),
        objective="val_accuracy",
        max_trials=20,
    )
    tuner.search(x, y, validation_data=(x_val, y_val), epochs=5)
    ```
    """

    # `CoarseToFine` may stop and go on between any two epochs.
    fits_from_any_epoch = True

    def __init__(
        self,
        num_classes: int,
        input_shape: Shape | None = None,
        *,
        space: SearchSpace | None = None,
        weights: str | None = None,
        batch_size: int = 32,
        flips: bool = True,
        seed: int = 0,
        name: str | None = None,
    ):
        super().__init__(name=name)
        for argument, value in (
            ("num_classes", num_classes),
            ("batch_size", batch_size),
        ):
            if not value >= 1:
                raise ValueError(
                    f"ZooHyperModel: `{argument}` must be at least 1. "
                    f"Received: {argument}={value!r}"
                )
        if input_shape is not None and input_shape[2:] != (3,):
            raise ValueError(
                "ZooHyperModel: `input_shape` must be (height, width, 3). "
                f"Received: input_shape={input_shape!r}"
            )
        self.num_classes = num_classes
        self.input_shape = input_shape
        self.space = space
        self.weights = weights
        self.batch_size = batch_size
        self.flips = flips
        self.seed = seed
        for backbone in self._space["backbone"].ends:
            find_weights(model_info(str(backbone)), weights)
        declare(self._space, keras_tuner.HyperParameters(), **self._facts)

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Adds all parameters at once, so that one network is built for them.

        KerasTuner would otherwise build one for each condition.

        Args:
            hp: The parameters of the search.
        """
        declare(self._space, hp, **self._facts)

    def settings(self, hp: keras_tuner.HyperParameters) -> Mapping[str, Any]:
        """What a trial has drawn, of the parameters that have an effect.

        Args:
            hp: The trial's parameters.
        """
        return settings(self._space, hp, **self._facts)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """The network of a trial.

        Args:
            hp: The trial's parameters.

        Returns: A compiled model from raw RGB to logits.
        """
        drawn = self.settings(hp)
        network = build_network(
            drawn,
            self.num_classes,
            weights=self.weights,
            input_shape=self.input_shape,
            seed=trial_seed(drawn, self.seed),
        )
        network.compile(
            keras.optimizers.AdamW(
                self.schedule(hp, 1), weight_decay=drawn["weight_decay"]
            ),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            # "accuracy" would make its variables in the first step, which
            # would be traced twice for that.
            metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        )
        # Checkpoints of KerasTuner hold the optimizer's slots.
        network.optimizer.build(network.trainable_variables)
        return network

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        x: Any,
        y: Any = None,
        *,
        epochs: int = 1,
        initial_epoch: int = 0,
        validation_data: Any = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        checkpoints: str | Path | None = None,
        **options: Any,
    ) -> keras.callbacks.History:
        """Trains the network of a trial.

        Order and changes of the images follow from the trial's seed.

        Args:
            hp: The trial's parameters.
            model: What `build` gave for them.
            x: Images, as `as_examples` takes them.
            y: Their classes, where `x` is an array.
            epochs: Passes over the images, with which the schedule ends.
            initial_epoch: Where to go on with images and schedule.
            validation_data: Images to judge by, as `x` or `(x, y)`.
            callbacks: Of Keras.
            checkpoints: A folder in which a stopped training is found again.
            **options: What else `keras.Model.fit` takes, such as `verbose`.

        Returns: The logs of each epoch.
        """
        drawn, examples = self.settings(hp), as_examples(x, y)
        batch_size = min(self.batch_size, len(examples))
        length = steps_per_epoch(len(examples), batch_size)
        size, seed = model.input_shape[1:3], trial_seed(drawn, self.seed)
        augmentation = Augmentation(drawn["augmentation"], flips=self.flips)

        def batches(step: int) -> Any:
            return training_batches(
                examples,
                size,
                batch_size=batch_size,
                augmentation=augmentation,
                seed=seed,
                steps=range(step, epochs * length),
            )

        model.optimizer.learning_rate = self.schedule(hp, epochs * length)
        model.optimizer.iterations.assign(initial_epoch * length)
        fit_options = {
            **options,
            "epochs": epochs,
            "initial_epoch": initial_epoch,
            "steps_per_epoch": length,
            "validation_data": _validation(validation_data, size),
            "callbacks": list(callbacks),
        }
        with image_errors():
            if checkpoints is None:
                first = batches(initial_epoch * length)
                return model.fit(first, shuffle=False, **fit_options)
            logs = ExactResume(checkpoints).fit(model, batches, **fit_options)
        return _as_history(logs)

    @property
    def _space(self) -> SearchSpace:
        return self.space or SearchSpace()

    @property
    def _facts(self) -> dict[str, Any]:
        """What decides which parameters have an effect, beside the space."""
        sides = self._space["image_size"].ends or (self.input_shape or (0,))[:2]
        return {"pretrained": self.weights is not None, "side": min(sides)}


def _validation(given: Any, size: tuple[int, int]) -> Any:
    if given is None:
        return None
    pair = given if isinstance(given, tuple) else (given,)
    examples: Examples = as_examples(*pair)
    return evaluation_batches(examples, size)


def _as_history(logs: list[dict[str, float]]) -> keras.callbacks.History:
    """What KerasTuner reads of the logs of each epoch."""
    history = keras.callbacks.History()
    history.epoch = list(range(len(logs)))
    history.history = {name: [x[name] for x in logs] for name in logs[-1]}
    return history
