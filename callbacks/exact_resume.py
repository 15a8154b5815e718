"""Goes on with an interrupted training as if nothing had happened."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dropzoo.models.atomic_write import atomic_write

FILE = "training.safetensors"


class ExactResume(keras.callbacks.Callback):
    """Saves the whole state of a training after every epoch.

    *When it acts:* at the end of every epoch. *Writes:* `training.safetensors`
    in its directory, atomically: the weights, the optimizer's slots and step
    counter, the state of every random generator inside the model, and the
    history so far. *Reads:* the same, in `restore`. *Order:* last, so that it
    saves what the others have done. *Resume:* call `restore` after `compile`
    and before `fit`; an epoch that was interrupted starts again.

    The data must come from a pipeline whose order and augmentation are
    functions of the epoch, such as `dropzoo.data.training_batches`.

    Args:
        directory: Where to keep the state.

    Raises: OSError at the end of an epoch when the state cannot be written.

    Example:

    ```python
    resume = ExactResume("runs/first/.state")
    first = resume.restore(model)
    model.fit(
        training_batches(..., epochs=range(first, 10)),
        initial_epoch=first, epochs=10, callbacks=[resume],
    )
    resume.history  # of all ten epochs
    ```
    """

    def __init__(self, directory: str | Path):
        super().__init__()
        self.directory = Path(directory)
        self.history: list[dict[str, float]] = []

    def restore(self, model: keras.Model) -> int:
        """Puts the saved state into a compiled model, if there is one.

        Args:
            model: The model, built and compiled as the interrupted one.

        Returns: The number of finished epochs, 0 where nothing was saved.

        Raises: ValueError when the model is not compiled, or the file is
            damaged or belongs to another training; the model is then
            unchanged.
        """
        if not model.compiled or not model.built:
            raise ValueError(
                "ExactResume: `model` must be built and compiled before its "
                f"training is restored. Received: {model.name}"
            )
        path = self.directory / FILE
        if not path.is_file():
            return 0
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        variables = _state(model)
        saved, history = _read(path)
        shapes = {name: tuple(value.shape) for name, value in saved.items()}
        expected = {
            name: tuple(value.shape) for name, value in variables.items()
        }
        if shapes != expected:
            raise ValueError(
                f"ExactResume: {path} belongs to another training: its "
                f"{len(shapes)} tensors are not the {len(expected)} of this "
                "model and optimizer; delete it to start again."
            )
        for name, variable in variables.items():
            variable.assign(saved[name])
        self.history = history
        return len(self.history)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.history.append(
            {name: float(value) for name, value in (logs or {}).items()}
        )
        state = {
            name: np.asarray(keras.ops.convert_to_numpy(variable), order="C")
            for name, variable in _state(self.model).items()
        }
        facts = json.dumps({"history": self.history})
        path = self.directory / FILE
        try:
            with atomic_write(path) as part:
                save_file(state, part, metadata={"facts": facts})
        except SafetensorError as error:
            raise OSError(
                f"ExactResume: {path} cannot be written ({error}); make room "
                "and resume: the epoch before this one is kept."
            ) from None


def _read(path: Path) -> tuple[dict[str, np.ndarray], list[dict[str, float]]]:
    """The saved variables and history."""
    try:
        with safe_open(path, framework="np") as file:
            history = json.loads(file.metadata()["facts"])["history"]
            return {k: file.get_tensor(k) for k in file.keys()}, history
    except (OSError, SafetensorError, LookupError, TypeError, ValueError) as e:
        raise ValueError(
            f"ExactResume: {path} is damaged ({e}); delete it to start this "
            "training again."
        ) from None


def _state(model: keras.Model) -> dict[str, keras.Variable]:
    """Every variable that decides the next step, by kind and position."""
    return {
        f"{kind}/{position}": variable
        for kind, variables in (
            ("model", model.variables),
            ("optimizer", model.optimizer.variables),
        )
        for position, variable in enumerate(variables)
    }
