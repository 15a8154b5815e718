"""The part of a run that trains: fitting, judging, choosing.

Training starts from a head that already fits the frozen features. Whether it
helps is measured on images that it has not seen, never assumed; see
`docs/fine-tuning.md`.
"""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from dropzoo.callbacks import CallAfterBatch, ExactResume, ProgressBar
from dropzoo.data.augmentation import Augmentation
from dropzoo.data.examples import Examples
from dropzoo.data.pipeline import (
    evaluation_batches,
    image_errors,
    steps_per_epoch,
    training_batches,
)
from dropzoo.evaluation.folds import Folds
from dropzoo.evaluation.probe import Head, Probe
from dropzoo.models import freeze
from dropzoo.models.heads import set_head
from dropzoo.models.layerwise_adamw import LayerwiseAdamW
from dropzoo.models.rate_factors import depth_factors
from dropzoo.models.recompiling import carry_over
from dropzoo.recipes.interruption import check_interruption
from dropzoo.recipes.scoring import join, score
from dropzoo.recipes.steps import Bar, Steps
from dropzoo.recipes.thawing import thawing_stages
from dropzoo.recipes.verdict import Verdict, judge
from dropzoo.schedules import Warmup

WARMUP_STEPS = 20  # at least, unless that is more than half of all steps
CHECK_SHARE = 0.5  # of the epochs, to see on each fold whether tuning helps


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to fine-tune.

    Args:
        peak_rate: Rate of the head after warm-up.
        batch_size: Images in a step.
        epochs: Passes over the training images.
        freeze: What stays as it is, in the words of `models.freeze`.
        augmentation: What to do to training images.
        seed: Of order, augmentation and dropout.
        thaw_share: Share of the epochs in which the levels that train are
            thawed one after the other; 0 thaws all at once.
        rate_decay: Factor on the rate from one level to the one before it.
        weight_decay: Of AdamW.
        warmup_share: Share of all steps in which the rate rises.
    """

    peak_rate: float
    batch_size: int
    epochs: int
    freeze: str
    augmentation: Augmentation
    seed: int
    thaw_share: float = 0.0
    rate_decay: float = 0.9
    weight_decay: float = 1e-4
    warmup_share: float = 0.1


def compile_network(
    network: keras.Model,
    rate: float | keras.optimizers.schedules.LearningRateSchedule,
    *,
    rate_decay: float = Settings.rate_decay,
    weight_decay: float = Settings.weight_decay,
) -> None:
    """Compiles a network as it is fine-tuned.

    Args:
        network: The network, frozen as it is to be.
        rate: Of the head.
        rate_decay: As in `Settings`.
        weight_decay: As in `Settings`.
    """
    network.compile(
        LayerwiseAdamW(
            depth_factors(network, rate_decay), rate, weight_decay=weight_decay
        ),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        # "accuracy" would make its variables in the first step, which would
        # be traced twice for that.
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
    )


class FineTuning:
    """Fine-tunes a network and finds out whether that helps.

    Args:
        network: The network with pretrained weights and a classifier.
        settings: How to train.
        state: Folder in which a stopped training is found again.

    Attributes:
        scorer: The network for predictions; it shares the layers.
    """

    def __init__(self, network: keras.Model, settings: Settings, state: Path):
        self.network = network
        self.settings = settings
        self.state = state
        # The same layers, never compiled: compiling drops what was traced.
        self.scorer = keras.Model(network.input, network.output)
        self._pretrained = network.get_weights()

    def put_back(self, head: Head) -> None:
        """Gives the network its pretrained weights and a fitted head."""
        self.network.set_weights(self._pretrained)
        set_head(self.network, *head)

    def run(
        self, pool: Examples, folds: Folds, probe: Probe, steps: Steps
    ) -> tuple[Verdict, list[dict[str, float]]]:
        """Trains, judges, and leaves the better model in the network.

        With a validation split the network is trained once and judged on it.
        With folds, half of the epochs on each fold show whether training
        helps; if it does, the network is trained on all images.

        Args:
            pool: All images that may be learned from or judged on.
            folds: Which are for what.
            probe: The heads to start from, and how good they are alone.
            steps: Where progress is shown.

        Returns: The verdict, and the logs of each epoch of the final
            training; none where the head alone is kept.
        """
        if self.settings.freeze == "all":
            self.put_back(probe.head)
            return self._only_head(folds, probe), []
        learn = pool.subset(folds.learn)
        with steps.bar("fine-tuning", self._num_steps(folds)) as bar:
            if folds.crossed:
                verdict = self._judge_folds(pool, folds, probe, bar)
                history: list[dict[str, float]] = []
                if verdict.helps:
                    history = self.fit("final", probe.head, learn, bar)
            else:
                validation = pool.subset(folds.held_out())
                self.put_back(probe.head)
                alone = self._score(validation)
                history = self.fit(
                    "final", probe.head, learn, bar, validation=validation
                )
                tuned = self._score(validation)
                verdict = judge(self._describe(folds), alone, tuned)
        if not verdict.helps:
            self.put_back(probe.head)
        return verdict, history

    def fit(
        self,
        name: str,
        head: Head,
        examples: Examples,
        bar: Bar,
        *,
        epochs: int | None = None,
        validation: Examples | None = None,
    ) -> list[dict[str, float]]:
        """Trains from the pretrained weights and a fitted head.

        Args:
            name: Of this training; a stopped one goes on under its name.
            head: Kernel and bias to start from.
            examples: What to learn from.
            bar: Where progress is shown.
            epochs: Number of epochs. Defaults to the settings'.
            validation: Images to watch.

        Returns: The logs of each epoch.
        """
        settings = self.settings
        epochs = epochs or settings.epochs
        size = self.network.input_shape[1:3]
        batch_size = self._batch_size(len(examples))
        length = steps_per_epoch(len(examples), batch_size)
        history: list[dict[str, float]] = []

        def batches(step: int) -> tf.data.Dataset:
            return training_batches(
                examples,
                size,
                batch_size=batch_size,
                augmentation=settings.augmentation,
                seed=settings.seed,
                steps=range(step, epochs * length),
            )

        self.put_back(head)
        optimizer = None
        for stage in thawing_stages(
            self.network, settings.freeze, epochs, settings.thaw_share
        ):
            optimizer = self._compile(stage.freeze, epochs * length, optimizer)
            resume = ExactResume(self.state / name / stage.freeze)
            with image_errors():
                history += resume.fit(
                    self.network,
                    batches,
                    initial_epoch=stage.first_epoch,
                    epochs=stage.end_epoch,
                    steps_per_epoch=length,
                    callbacks=[
                        ProgressBar(bar.progress, bar.task, name),
                        CallAfterBatch(check_interruption),
                    ],
                    validation_data=(
                        evaluation_batches(validation, size)
                        if validation
                        else None
                    ),
                    verbose=0,
                )
        return history

    def rates(self, num_examples: int) -> np.ndarray:
        """The head's learning rate in each step of the final training."""
        batches = num_examples // self._batch_size(num_examples)
        num_steps = self.settings.epochs * batches
        schedule = self._schedule(num_steps)
        return np.array([float(schedule(step)) for step in range(num_steps)])

    def _compile(
        self,
        frozen: str,
        num_steps: int,
        before: keras.optimizers.Optimizer | None,
    ) -> keras.optimizers.Optimizer:
        """Compiles the network, with the slots of the stage before."""
        network = self.network
        network.compiled = False  # so that `freeze` is free to change it
        freeze(network, frozen)
        compile_network(
            network,
            self._schedule(num_steps),
            rate_decay=self.settings.rate_decay,
            weight_decay=self.settings.weight_decay,
        )
        if before is not None:
            network.optimizer.build(network.trainable_variables)
            carry_over(before, network.optimizer)
        return network.optimizer

    def _schedule(
        self, num_steps: int
    ) -> keras.optimizers.schedules.LearningRateSchedule:
        # Adam's first steps move every weight by nearly the whole rate, however
        # small its gradient: short trainings need the warm-up all the same.
        warmup = max(
            round(self.settings.warmup_share * num_steps),
            min(WARMUP_STEPS, num_steps // 2),
        )
        cosine = keras.optimizers.schedules.CosineDecay(
            self.settings.peak_rate, num_steps - warmup
        )
        return Warmup(cosine, warmup)

    def _judge_folds(
        self, pool: Examples, folds: Folds, probe: Probe, bar: Bar
    ) -> Verdict:
        """Compares heads and networks tuned on the folds."""
        alone, tuned = [], []
        pairs = zip(folds.pairs, probe.fold_heads, strict=True)
        for number, ((learn, judged), head) in enumerate(pairs, start=1):
            held_out = pool.subset(judged)
            self.put_back(head)
            alone.append(self._score(held_out))
            self.fit(
                f"fold {number} of {len(folds.pairs)}",
                head,
                pool.subset(learn),
                bar,
                epochs=self._check_epochs(),
            )
            tuned.append(self._score(held_out))
        return judge(
            self._describe(folds),
            join(alone),
            join(tuned),
        )

    def _score(self, examples: Examples) -> tuple[np.ndarray, np.ndarray]:
        """Losses and hits on images as they are, and then on varied ones.

        Held-out photos are mostly of the same afternoon as those learned
        from. Varied in distance, framing and light they say more about photos
        from elsewhere.
        """
        views: list[Augmentation | None] = [None]
        if self.settings.augmentation.strength != "none":
            views.append(self.settings.augmentation)
        return join(
            [
                score(self.scorer, examples, view, self.settings.seed)
                for view in views
            ]
        )

    def _describe(self, folds: Folds) -> str:
        number = len(folds.held_out())
        text = f"{number} validation photos"
        if folds.crossed:
            text = f"{number} held-out photos of {len(folds.pairs)} folds"
        if self.settings.augmentation.strength != "none":
            text += ", each as it is and varied,"
        return text

    def _check_epochs(self) -> int:
        return max(1, round(CHECK_SHARE * self.settings.epochs))

    def _batch_size(self, num_examples: int) -> int:
        return min(self.settings.batch_size, num_examples)

    def _num_steps(self, folds: Folds) -> int:
        def steps(positions: np.ndarray, epochs: int) -> int:
            return epochs * (len(positions) // self._batch_size(len(positions)))

        total = steps(folds.learn, self.settings.epochs)
        if folds.crossed:
            for learn, _ in folds.pairs:
                total += steps(learn, self._check_epochs())
        return total

    def _only_head(self, folds: Folds, probe: Probe) -> Verdict:
        judged = folds.held_out()
        return Verdict(
            judged_on=f"{len(judged)} held-out photos",
            head_loss=float(probe.losses[judged].mean()),
            head_accuracy=float(probe.correct[judged].mean()),
            tuned_loss=None,
            tuned_accuracy=None,
            helps=False,
        )
