"""How the rate of stochastic depth grows from block to block."""

from typing import Literal


def linear_decay(
    rate: float,
    num_blocks: int,
    *,
    rule: Literal["paper", "efficientnet", "timm"] = "paper",
) -> tuple[float, ...]:
    """Rates of dropping for residual blocks, rising with depth.

    Early blocks make features that all later ones use, so they are kept more
    often. With block `l` of `L`, counted from 1:

    - `"paper"`: `rate * l / L`; the last block has the full rate.
    - `"efficientnet"`: `rate * (l - 1) / L`; the first block is always kept.
    - `"timm"`: `rate * (l - 1) / (L - 1)`; both ends.

    Args:
        rate: Float in [0, 1). Rate of the deepest block.
        num_blocks: Number of blocks, at least 1.
        rule: Which of the three.

    Returns: One rate for each block, the first block first.

    Raises: ValueError when an argument is outside its range.

    Example:
        >>> linear_decay(0.5, 4)
        (0.125, 0.25, 0.375, 0.5)

    Reference: Huang et al., "Deep Networks with Stochastic Depth", 2016,
        equation 4.
    """
    if not 0 <= rate < 1:
        raise ValueError(
            f"linear_decay: `rate` must be in [0, 1). Received: rate={rate!r}"
        )
    if num_blocks < 1:
        raise ValueError(
            "linear_decay: `num_blocks` must be at least 1. "
            f"Received: num_blocks={num_blocks!r}"
        )
    ends = {
        "paper": (1, num_blocks),
        "efficientnet": (0, num_blocks),
        "timm": (0, max(num_blocks - 1, 1)),
    }
    if rule not in ends:
        raise ValueError(
            "linear_decay: `rule` must be 'paper', 'efficientnet' or 'timm'. "
            f"Received: rule={rule!r}"
        )
    first, last = ends[rule]
    return tuple(rate * (first + block) / last for block in range(num_blocks))
