"""One thing that is wrong before training."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class SanityFailure:
    """One thing that is wrong before training.

    Args:
        check: `"labels"`, `"input"`, `"first loss"`, `"gradients"` or
            `"tiny batch"`.
        sentence: What was seen and its likely cause.
        fatal: Whether training cannot succeed; otherwise it is unusual.
    """

    check: str
    sentence: str
    fatal: bool = True
