"""Lets Keras walk through networks that are deeper than Python's stack."""

import sys

MARGIN = 1000  # frames for what calls Keras, and for what it calls


def allow_deep_graph(num_calls: int) -> None:
    """Raises Python's limit of recursion where a network needs it.

    Keras follows a functional model from its end to its input by recursion, a
    frame for each call on the way, whenever the model is made: also when it is
    loaded, copied or cut. So the limit stays raised in this process; in another
    one call this, or `sys.setrecursionlimit`, before loading such a model.

    Args:
        num_calls: Calls of layers on the longest way through the network, or
            more.
    """
    if num_calls + MARGIN // 2 > sys.getrecursionlimit():
        sys.setrecursionlimit(num_calls + MARGIN)
