"""Numbers as a reader expects them."""

from numbers import Integral, Real

import numpy as np

SPACE = "\N{NO-BREAK SPACE}"


def percent(share: float, digits: int = 1) -> str:
    """Writes a share in [0, 1] as a percentage, such as 84.1 %."""
    return f"{100 * share:.{digits}f}{SPACE}%"


def percent_tick(share: float) -> str:
    """Writes a share with as few digits as name it, such as 52.5 %."""
    return f"{100 * share:.4g}{SPACE}%"


def points(difference: float) -> str:
    """Writes a difference of two shares in signed percentage points."""
    sign = "+" if difference >= 0 else "\N{MINUS SIGN}"
    return f"{sign}{abs(100 * difference):.1f} points"


def seconds(duration: float) -> str:
    """Writes a duration in seconds, minutes or hours.

    Example:
        >>> seconds(333).replace(SPACE, " ")
        '5 min 33 s'
    """
    if duration < 10:
        return f"{duration:.1f}{SPACE}s"
    minutes, rest = divmod(round(duration), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}{SPACE}h {minutes}{SPACE}min"
    if minutes:
        return f"{minutes}{SPACE}min {rest}{SPACE}s"
    return f"{rest}{SPACE}s"


def plain(value: object) -> str:
    """Writes a value of a fact: thousands apart, floats short."""
    if value is None:
        return "none"
    if isinstance(value, (bool, np.bool)):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{value:,}"
    if isinstance(value, Real):
        digits, _, exponent = f"{value:.3e}".partition("e")
        if exponent and int(exponent) < -3:
            return f"{float(digits):g}e{int(exponent)}"
        return f"{value:.4g}"
    return str(value)
