"""The part of a recipe that trains a network from scratch."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dropzoo.callbacks import (
    CallAfterBatch,
    ExactResume,
    ProgressBar,
    sanity_failures,
)
from dropzoo.callbacks.few_of_each_class import few_of_each_class
from dropzoo.data import ImageData
from dropzoo.data.augmented_batches import AugmentedBatches, one_hot_batches
from dropzoo.data.examples import Examples
from dropzoo.data.pipeline import evaluation_batches, image_errors
from dropzoo.data.splits import limited
from dropzoo.models import create_model, model_info
from dropzoo.models.sgd_with_l2 import SGDWithL2
from dropzoo.recipes.devices import data_parallel
from dropzoo.recipes.interruption import check_interruption
from dropzoo.recipes.steps import Steps
from dropzoo.recipes.training_plan import TrainingPlan
from dropzoo.schedules import PerUpdate

LOOKED_AT = 64  # photos that the sanity check looks at
POINTS = 400  # of the rate that are computed for the report


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """What a training came to.

    Args:
        network: With the weights that are kept, on one device.
        history: The logs of each epoch.
        kept_epoch: The epoch whose weights are kept, from 1.
        rates: Learning rate of each update.
    """

    network: keras.Model
    history: list[dict[str, float]]
    kept_epoch: int
    rates: np.ndarray

    def sentence(self) -> str:
        """What is kept, for a person."""
        kept, last = self.history[self.kept_epoch - 1], len(self.history)
        if "val_accuracy" not in kept:
            return f"Kept: epoch {last}, the last one."
        return (
            f"Kept: epoch {self.kept_epoch} of {last}, the best on the "
            f"validation photos with {kept['val_accuracy']:.1%} right."
        )


@dataclasses.dataclass(frozen=True, eq=False)
class ScratchTraining:
    """A network trained from scratch, as planned.

    Args:
        plan: The figures.
        data: The photos.
        seed: Of weights, order, changes and dropping.
        state: Folder in which a stopped training is found again.
        callbacks: Makes further callbacks when the training begins.
    """

    plan: TrainingPlan
    data: ImageData
    seed: int
    state: Path
    callbacks: Callable[[], Sequence[keras.callbacks.Callback]] = tuple

    def build(self) -> keras.Model:
        """A new network; equal seeds give equal weights."""
        keras.utils.set_random_seed(self.seed)
        plan = self.plan
        size = plan.image_size or model_info(plan.model).input_size
        return create_model(
            plan.model,
            num_classes=self.data.num_classes,
            input_shape=(size, size, 3),
            seed=self.seed,
            **plan.options,
        )

    def batches(self, size: tuple[int, int]) -> AugmentedBatches:
        """What the network learns from.

        Args:
            size: Height and width of its input.
        """
        return AugmentedBatches(
            some_of(self.data.train, self.plan.num_photos, self.seed),
            num_classes=self.data.num_classes,
            size=size,
            batch_size=self.plan.batch_size,
            epochs=self.plan.epochs,
            names=self.plan.augmentation,
            plain_epochs=self.plan.plain_epochs,
            parts=self.plan.accumulate,
            seed=self.seed,
        )

    def schedule(
        self, updates: int
    ) -> keras.optimizers.schedules.LearningRateSchedule:
        """The rate of each update.

        Args:
            updates: Their number.
        """
        return self.plan.paper.schedule(self.plan.rate, updates)

    def check(self, network: keras.Model, steps: Steps) -> None:
        """Looks at photos, labels, first loss and gradients.

        No tiny batch is learned by heart: in a deep network that takes
        minutes. A training that goes on is not looked at again.

        Args:
            network: A new one, which is left as it is, but compiled.
            steps: Where what is unusual is said.

        Raises: ValueError when nothing can be learned.
        """
        if self._checkpoints.is_dir():
            return
        batches = self.batches(network.input_shape[1:3])
        self._compile(network, batches.updates_per_epoch * self.plan.epochs)
        few = few_of_each_class(batches.examples.labels, LOOKED_AT)
        examples = batches.examples.subset(few)
        plain = evaluation_batches(examples, batches.size, batch_size=len(few))
        ((images, rows),) = one_hot_batches(plain, batches.num_classes)
        failures = sanity_failures(network, images, rows, steps=0)
        for failure in failures:
            if not failure.fatal:
                steps.say(f"warning: {failure.sentence}")
        if fatal := [x.sentence for x in failures if x.fatal]:
            raise ValueError(f"train: {' '.join(fatal)}")

    def run(self, steps: Steps) -> Trained:
        """Trains, and chooses the epoch that is best on validation photos.

        Args:
            steps: Where progress is shown.
        """
        with data_parallel(self.plan.devices):
            network = self.build()
            batches = self.batches(network.input_shape[1:3])
            updates = batches.updates_per_epoch * self.plan.epochs
            self._compile(network, updates)
            history = self._fit(network, batches, steps)
        kept_epoch = len(history)
        if "val_accuracy" in history[-1]:
            scores = [logs["val_accuracy"] for logs in history]
            kept_epoch = int(np.argmax(scores)) + 1
            network.load_weights(self._best)
        if self.plan.devices > 1:
            alone = self.build()
            alone.set_weights(network.get_weights())
            network = alone
        return Trained(network, history, kept_epoch, self.rates(updates))

    def rates(self, updates: int) -> np.ndarray:
        """Learning rate of each update, for a picture.

        Args:
            updates: Their number.
        """
        schedule = self.schedule(updates)
        places = np.unique(np.linspace(0, updates - 1, POINTS).astype(int))
        values = [float(schedule(int(place))) for place in places]
        return np.interp(np.arange(updates), places, values)

    @property
    def _checkpoints(self) -> Path:
        return self.state / "training"

    @property
    def _best(self) -> Path:
        return self.state / "best.weights.h5"

    def _compile(self, network: keras.Model, updates: int) -> None:
        accumulate = self.plan.accumulate
        schedule = self.schedule(updates)
        if accumulate > 1:
            schedule = PerUpdate(schedule, accumulate)
        network.compile(
            SGDWithL2(
                self.plan.weight_decay,
                schedule,
                momentum=self.plan.paper.momentum,
                nesterov=self.plan.paper.nesterov,
                gradient_accumulation_steps=(
                    accumulate if accumulate > 1 else None
                ),
            ),
            keras.losses.CategoricalCrossentropy(from_logits=True),
            # "accuracy" would make its variables in the first step, which
            # would be traced twice for that.
            metrics=[keras.metrics.CategoricalAccuracy("accuracy")],
        )

    def _fit(
        self, network: keras.Model, batches: AugmentedBatches, steps: Steps
    ) -> list[dict[str, float]]:
        self.state.mkdir(parents=True, exist_ok=True)
        size = network.input_shape[1:3]
        validation = self._validation(size)
        resume = ExactResume(self._checkpoints)
        total = self.plan.epochs * batches.steps_per_epoch
        with steps.bar("training", total) as bar, image_errors():
            return resume.fit(
                network,
                batches,
                epochs=self.plan.epochs,
                steps_per_epoch=batches.steps_per_epoch,
                callbacks=[
                    *self.callbacks(),
                    *([] if validation is None else [self._keep_best()]),
                    ProgressBar(bar.progress, bar.task, "training"),
                    CallAfterBatch(check_interruption),
                ],
                validation_data=validation,
                verbose=0,
            )

    def _keep_best(self) -> keras.callbacks.Callback:
        return keras.callbacks.ModelCheckpoint(
            str(self._best),
            monitor="val_accuracy",
            mode="max",
            save_best_only=True,
            save_weights_only=True,
        )

    def _validation(self, size: tuple[int, int]) -> Any:
        """The validation photos, as large a share of them as of the others."""
        data = self.data
        if data.validation is None:
            return None
        share = self.plan.num_photos / len(data.train)
        number = max(round(share * len(data.validation)), data.num_classes)
        chosen = some_of(data.validation, number, self.seed)
        # Keras on TensorFlow fails where devices get unequal parts.
        even = len(chosen) // self.plan.devices * self.plan.devices
        return one_hot_batches(
            evaluation_batches(
                chosen.subset(np.arange(even)),
                size,
                batch_size=self.plan.batch_size // self.plan.accumulate,
            ),
            data.num_classes,
        )


def some_of(examples: Examples, number: int, seed: int) -> Examples:
    """Some of a split's photos, a share of every class.

    Args:
        examples: The split.
        number: How many; all where there are no more.
        seed: The same seed gives the same choice.
    """
    if number >= len(examples):
        return examples
    number = max(number, len(np.unique(examples.labels)))
    return examples.subset(limited(examples.labels, number, seed))
