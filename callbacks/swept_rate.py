"""Makes the learning rate of a compiled model rise as one likes."""

import math

import keras
from keras import ops

from dropzoo.callbacks.steps_taken import steps_taken


class ExponentialSweep(keras.optimizers.schedules.LearningRateSchedule):
    """The rate `start (end / start) ** ((step - first) / (num_steps - 1))`.

    It depends on the step alone, so that a compiled training follows it.

    Args:
        start: Rate of the step `first`.
        end: Rate of the last step, above 0.
        num_steps: Number of steps, at least 2.
        first: The step at which it starts.

    Example:
        >>> sweep = ExponentialSweep(1e-4, 1.0, num_steps=5, first=100)
        >>> round(float(sweep(102)), 6)
        0.01
    """

    def __init__(
        self, start: float, end: float, *, num_steps: int, first: int = 0
    ):
        super().__init__()
        self.start = start
        self.end = end
        self.num_steps = num_steps
        self.first = first

    def __call__(self, step):
        taken = ops.cast(ops.cast(step, "int32") - self.first, "float32")
        growth = math.log(self.end / self.start) / (self.num_steps - 1)
        return self.start * ops.exp(growth * taken)

    def get_config(self):
        names = ("start", "end", "num_steps", "first")
        return {name: getattr(self, name) for name in names}


class SweptRate:
    """The rate of a model's optimizer, to be set before each batch.

    A rate that is a number is set. One that comes from a schedule cannot be:
    the schedule gives way to an `ExponentialSweep` until `put_back`, and a
    training step is compiled for it; the one with the schedule is kept. Where
    parts of the model have rates of their own (`keras.optimizers.
    MultiOptimizer`), the largest one is swept and the others keep their ratio
    to it.

    Args:
        model: A compiled model whose optimizer is built.
        start: The first rate.
        end: The last rate.
        num_steps: Number of rates, at least 2.

    Raises: ValueError when the optimizer has several rates and one is 0 now.
    """

    def __init__(
        self, model: keras.Model, start: float, end: float, num_steps: int
    ):
        self._model = model
        self._ends = start, end
        self._num_steps = num_steps
        outer = model.optimizer
        inner = getattr(outer, "inner_optimizer", outer)  # of loss scaling
        self._optimizers = getattr(inner, "optimizers", [inner])
        self._shares = _shares(self._optimizers)
        # The optimizer itself gives the rate of now, not the schedule.
        rates = [optimizer._learning_rate for optimizer in self._optimizers]
        self._schedules = [rate if callable(rate) else None for rate in rates]
        self._traced = model.train_function
        self._train_step = vars(model).get("train_step")  # of this model alone

    def begin(self) -> None:
        """Exchanges the schedules, if there are any."""
        if not any(self._schedules):
            return
        for optimizer, share, schedule in self._rates():
            if schedule is not None:
                optimizer.learning_rate = ExponentialSweep(
                    *(share * end for end in self._ends),
                    num_steps=self._num_steps,
                    first=steps_taken(optimizer),
                )
        # JAX finds what it has traced by the function: it needs another one.
        step = self._model.train_step
        self._model.train_step = lambda *data, **kwargs: step(*data, **kwargs)
        self._model.make_train_function(force=True)

    def set(self, step: int) -> float:
        """Sets the rate of a step.

        Args:
            step: Number of steps that were taken since `begin`.

        Returns: The rate.
        """
        start, end = self._ends
        rate = start * (end / start) ** (step / (self._num_steps - 1))
        for optimizer, share, schedule in self._rates():
            if schedule is None:
                optimizer.learning_rate = share * rate
        return rate

    def put_back(self) -> None:
        """Gives the optimizer its schedules back, not what was set."""
        if not any(self._schedules):
            return
        for optimizer, _, schedule in self._rates():
            if schedule is not None:
                optimizer.learning_rate = schedule
        vars(self._model).pop("train_step", None)
        if self._train_step is not None:
            self._model.train_step = self._train_step
        self._model.train_function = self._traced

    def count(self) -> int:
        """A number that grows with each step that is not skipped."""
        return sum(map(steps_taken, self._optimizers))

    def _rates(self):
        return zip(self._optimizers, self._shares, self._schedules, strict=True)


def _shares(optimizers) -> list[float]:
    """The rate of each optimizer as a share of the largest one."""
    if len(optimizers) == 1:
        return [1.0]
    rates = [
        float(ops.convert_to_numpy(ops.convert_to_tensor(x.learning_rate)))
        for x in optimizers
    ]
    if not min(rates) > 0:
        raise ValueError(
            "LearningRateFinder: an optimizer with several rates must have "
            "them above 0 when the test begins, because their ratios are "
            f"kept. Received: {rates}"
        )
    return [rate / max(rates) for rate in rates]
