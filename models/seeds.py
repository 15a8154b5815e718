"""Splits one seed into an independent one for every layer."""

import hashlib


def layer_seed(seed: int | None, name: str) -> int | None:
    """A seed for the layer of that name.

    Equal seeds in all layers would give every block the same gate. The layer's
    seed depends on its name, not on its place, so that adding a layer does not
    change the others.

    Args:
        seed: The model's seed; `None` stays `None`.
        name: Name of the layer.

    Returns: An integer in [0, 2**31).
    """
    if seed is None:
        return None
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
