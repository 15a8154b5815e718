"""Turns PyTorch state dicts into the names and layouts of Keras."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from dropzoo.models.heads import HEAD_VARIABLES
from dropzoo.models.spec import ModelSpec

# A variable's name in Keras and in PyTorch.
TORCH_VARIABLES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
DEPTHWISE = ("depthwise", "dwconv")  # in the names of depthwise convolutions

Table = Callable[[str], str]  # the name of a layer there by that here


def convert_state_dict(
    state: Mapping[str, np.ndarray], names: Iterable[str], spec: ModelSpec
) -> dict[str, np.ndarray]:
    """Renames and transposes the tensors of a state dict.

    The head's tensors are converted even where the model has no head, so that
    what is kept serves every later use.

    Args:
        state: Names and arrays as PyTorch has them.
        names: `layer/variable` of each variable of the model.
        spec: The record that knows the names of its layers in PyTorch.

    Returns: `layer/variable` and arrays in Keras's layout; without a head
        where the state dict has none.

    Raises: ValueError when the state dict belongs to another network.
    """
    wanted = {*names, *HEAD_VARIABLES}
    attempts = (_find(state, wanted, table) for table in _tables(spec))
    theirs, missing, unknown = min(attempts, key=_num_misfits)
    if missing or unknown:
        raise ValueError(mismatch(spec.name, missing, unknown))
    return {
        name: _transpose(state[theirs[name]], name, spec)
        for name in theirs
        if theirs[name] in state
    }


def classes_of_state_dict(
    state: Mapping[str, np.ndarray], spec: ModelSpec
) -> int:
    """The number of logits of a state dict, 0 where it has no head.

    Args:
        state: Names and arrays as PyTorch has them.
        spec: The record that knows the names of its layers in PyTorch.
    """
    for table in _tables(spec):
        head = state.get(_torch_name(HEAD_VARIABLES[0], table))
        if head is not None:
            return len(head)
    return 0


def mismatch(model: str, missing: list[str], unknown: list[str]) -> str:
    """Says why weights are not for a model.

    Args:
        model: Its name.
        missing: Tensors that the model needs and the weights lack.
        unknown: Tensors that the weights have and the model does not know.
    """
    parts = [
        f"{kind} tensors: {len(names)}, the first {names[0]}"
        for kind, names in (("missing", missing), ("unknown", unknown))
        if names
    ]
    return (
        f"create_model: these weights are not for {model}; {'; '.join(parts)}."
    )


def _tables(spec: ModelSpec) -> tuple[Table, ...]:
    if spec.source_names is None:
        raise ValueError(
            f"create_model: {spec.name} has no table of names for PyTorch "
            "weights; give a .keras or .weights.h5 file."
        )
    return (spec.source_names, *spec.other_source_names)


def _find(
    state: Mapping[str, np.ndarray], wanted: Iterable[str], table: Table
) -> tuple[dict[str, str], list[str], list[str]]:
    """Names there by names here, those that are missing, those unknown."""
    theirs = {name: _torch_name(name, table) for name in wanted}
    missing = [
        name
        for name in sorted(theirs)
        if theirs[name] not in state and name not in HEAD_VARIABLES
    ]
    known = set(theirs.values())
    unknown = [
        name
        for name in state
        if name not in known and not name.endswith("num_batches_tracked")
    ]
    return theirs, missing, unknown


def _num_misfits(found: tuple[dict[str, str], list[str], list[str]]) -> int:
    _, missing, unknown = found
    return len(missing) + len(unknown)


def _torch_name(name: str, table: Table) -> str:
    layer, variable = name.split("/")
    return f"{table(layer)}.{TORCH_VARIABLES[variable]}"


def _transpose(tensor: np.ndarray, name: str, spec: ModelSpec) -> np.ndarray:
    if name == HEAD_VARIABLES[0] and tensor.shape[2:] == (1, 1):
        tensor = tensor[:, :, 0, 0]  # a convolution of a single position
    if tensor.ndim == 4:
        # (out, in, height, width) to (height, width, in, out); a depthwise
        # kernel has its channels first and a multiplier of 1 second.
        depthwise = any(word in name for word in DEPTHWISE)
        order = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
        return np.ascontiguousarray(tensor.transpose(order))
    layer, variable = name.split("/")
    if layer in spec.flattened and variable == "kernel":
        tensor = _channels_last(tensor, spec.flattened[layer])
    return np.ascontiguousarray(tensor.T)


def _channels_last(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Reorders the columns of a dense layer that takes a flattened map.

    PyTorch flattens `(channels, height, width)`, Keras `(height, width,
    channels)`.

    Args:
        kernel: `(out, channels * positions)`.
        channels: Of the map.

    Returns: `(out, positions * channels)`; the kernel as it is where it is for
        no map of that many channels, to be refused by its shape.
    """
    if kernel.ndim != 2 or kernel.shape[1] % channels:
        return kernel
    maps = kernel.reshape(len(kernel), channels, -1)
    return maps.swapaxes(1, 2).reshape(kernel.shape)
