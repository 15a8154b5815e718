"""The arguments of `search`, on their way to the processes of trials."""

import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ArrayFile:
    """An array in a file, which every process maps into its memory.

    Args:
        path: A `.npy` file.
    """

    path: Path


@dataclass(frozen=True)
class FitArguments:
    """What `fit` of a hypermodel is called with in every trial.

    Args:
        positional: Arguments in order.
        named: Arguments by name.
    """

    positional: tuple[Any, ...]
    named: dict[str, Any]

    def open(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments for one trial: arrays mapped, functions called.

        A function in the place of the training or validation data makes them
        anew for each trial.
        """
        named = {k: _map(_open_array, v) for k, v in self.named.items()}
        positional = [_map(_open_array, x) for x in self.positional]
        if positional:
            positional[0] = _make_data(positional[0])
        for name in ("x", "validation_data"):
            if name in named:
                named[name] = _make_data(named[name])
        return tuple(positional), named

    @property
    def are_arrays(self) -> bool:
        """Whether the training data are arrays, which know no past."""
        data = [*self.positional[:1], self.named.get("x")]
        leaves: list[Any] = []
        for value in data:
            _map(leaves.append, value)
        known = [x for x in leaves if x is not None]
        return bool(known) and all(
            isinstance(x, ArrayFile | np.ndarray) for x in known
        )

    def in_files(self, folder: Path) -> "FitArguments":
        """The same with every array in a file.

        Args:
            folder: Where to write them.

        Raises: TypeError for a dataset of TensorFlow.
        """
        numbers = iter(range(sys.maxsize))

        def write(value: Any) -> Any:
            _refuse_dataset(value)
            if not isinstance(value, np.ndarray) or value.dtype.hasobject:
                return value
            path = folder / f"{next(numbers)}.npy"
            np.save(path, value)
            return ArrayFile(path)

        return FitArguments(
            tuple(_map(write, x) for x in self.positional),
            {name: _map(write, x) for name, x in self.named.items()},
        )


def pickle_for_processes(hypermodel: Any, arguments: FitArguments) -> bytes:
    """What a new process needs to run trials.

    Args:
        hypermodel: A `keras_tuner.HyperModel`.
        arguments: With arrays in files.

    Raises: TypeError where something cannot be taken to another process.
    """
    try:
        return pickle.dumps((hypermodel, arguments))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            "CoarseToFine: the hypermodel and the arguments of `search` must "
            "go to other processes, so their classes and functions must stand "
            "at the top level of a module; or pass `in_process=True`. "
            f"Received what cannot be pickled: {error}"
        ) from None


def _map(change: Callable[[Any], Any], value: Any) -> Any:
    """Changes the leaves of nested tuples, lists and dicts."""
    if isinstance(value, Mapping):
        return {name: _map(change, x) for name, x in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(_map(change, x) for x in value)
    return change(value)


def _open_array(value: Any) -> Any:
    if isinstance(value, ArrayFile):
        return np.load(value.path, mmap_mode="r")
    return value


def _make_data(value: Any) -> Any:
    return value() if callable(value) else value


def _refuse_dataset(value: Any) -> None:
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and isinstance(value, tensorflow.data.Dataset):
        raise TypeError(
            "CoarseToFine: a tf.data.Dataset cannot go to another process; "
            "give `search` a function of no arguments that makes it, defined "
            f"at the top level of a module. Received: {value!r}"
        )
