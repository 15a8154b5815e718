"""What callbacks keep from one batch to the next, as files can hold it."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

# Attributes that decide what Keras's own callbacks do next.
KERAS_STATES: dict[type, tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: (
        "best",
        "best_epoch",
        "best_weights",
        "stopped_epoch",
        "wait",
    ),
    keras.callbacks.LearningRateScheduler: (),
    keras.callbacks.ModelCheckpoint: ("best",),
    keras.callbacks.ReduceLROnPlateau: ("best", "cooldown_counter", "wait"),
    keras.callbacks.TerminateOnNaN: (),
}


def check_states(callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Refuses a callback whose state cannot be saved.

    Args:
        callbacks: Callbacks of a training.

    Raises: TypeError when one has no `get_state` and `set_state`, and is not
        one of Keras's that are known here.
    """
    for callback in callbacks:
        own = all(
            callable(getattr(callback, name, None))
            for name in ("get_state", "set_state")
        )
        if not own and type(callback) not in KERAS_STATES:
            raise TypeError(
                "ExactResume: every one of `callbacks` must have `get_state` "
                "and `set_state`, so that it can go on where it was. "
                f"Received: {type(callback).__name__}, which has not; give it "
                "both, or leave it out."
            )


def get_state(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """The state of a callback that `check_states` has let pass.

    Args:
        callback: The callback.

    Returns: JSON values and arrays, in dicts and lists.
    """
    names = KERAS_STATES.get(type(callback))
    if names is None:
        return callback.get_state()
    # Keras makes some of them in the first epoch.
    return {name: getattr(callback, name, None) for name in names}


def set_state(
    callback: keras.callbacks.Callback, state: dict[str, Any]
) -> None:
    """Puts a state back.

    Args:
        callback: The callback.
        state: From `get_state`.
    """
    if type(callback) not in KERAS_STATES:
        callback.set_state(state)
        return
    for name, value in state.items():
        setattr(callback, name, value)


def pack(value: Any, arrays: dict[str, np.ndarray], key: str) -> Any:
    """Takes the arrays out of a state, so that JSON can hold the rest.

    Args:
        value: JSON values and arrays, in dicts and lists.
        arrays: Takes the arrays, under names that begin with `key`.
        key: Name of this state.

    Returns: The state with the name of an array in the place of each.

    Raises: TypeError when there is anything else in it.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case np.generic():
            return value.item()
        case dict():
            return {k: pack(v, arrays, f"{key}/{k}") for k, v in value.items()}
        case list() | tuple():
            return [pack(v, arrays, f"{key}/{i}") for i, v in enumerate(value)]
        case np.ndarray():
            arrays[key] = np.asarray(value, order="C")
            return {"array": key}
    if keras.ops.is_tensor(value):
        return pack(keras.ops.convert_to_numpy(value), arrays, key)
    raise TypeError(
        "ExactResume: a state must hold numbers, strings and arrays in dicts "
        f"and lists. Received: {key} of type {type(value).__name__}"
    )


def unpack(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Puts the arrays back.

    Args:
        value: From `pack`.
        arrays: The same.
    """
    match value:
        case {"array": str(key), **others} if not others and key in arrays:
            return arrays[key]
        case dict():
            return {key: unpack(v, arrays) for key, v in value.items()}
        case list():
            return [unpack(v, arrays) for v in value]
    return value
