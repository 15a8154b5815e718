"""Names of variables that are the same in every process."""

import re
from typing import Any


def variables_of(layer: Any) -> dict[str, Any]:
    """The variables of a layer by name.

    Keras numbers those without a name, as in its LayerScale, through all models
    of a process; here they are numbered in their layer.

    Args:
        layer: A layer.

    Returns: Name and variable, in the order of `layer.weights`.
    """
    names = [variable.name for variable in layer.weights]
    nameless = [name for name in names if re.fullmatch(r"variable_?\d*", name)]
    for number, name in enumerate(nameless, start=1):
        names[names.index(name)] = f"weight{number}"
    return dict(zip(names, layer.weights, strict=True))
