"""A hypermodel whose trials draw a learning rate and how it goes down."""

import abc
from collections.abc import Mapping
from typing import Any

import keras
import keras_tuner

from dropzoo import schedules


class ScheduledHyperModel(keras_tuner.HyperModel, abc.ABC):
    """What such hypermodels share; `peak_rate` and `schedule` are drawn."""

    @abc.abstractmethod
    def settings(self, hp: keras_tuner.HyperParameters) -> Mapping[str, Any]:
        """What a trial has drawn.

        Args:
            hp: The trial's parameters.
        """

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
