"""Values of variables, kept in memory and put back."""

from collections.abc import Iterable

import keras
import numpy as np


class KeptVariables:
    """Copies of what variables hold.

    Args:
        variables: The variables; each is copied once, however often it comes.
    """

    def __init__(self, variables: Iterable[keras.Variable]):
        distinct = {id(variable): variable for variable in variables}.values()
        self._values = [  # copies: some backends give views
            (variable, np.array(keras.ops.convert_to_numpy(variable.value)))
            for variable in distinct
        ]

    def put_back(self) -> None:
        """Gives every variable the value that it had."""
        for variable, value in self._values:
            variable.assign(value)
