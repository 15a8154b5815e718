"""Reads learning rates off the curve of a range test."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SLIDE = 15  # iterations between the two slopes that `slide` compares
FLAT = 0.005  # difference of slopes below which the slide stops
FEWEST_POINTS = SLIDE + 1


@dataclass(frozen=True)
class RateSuggestions:
    """Four learning rates, each a reading of the same curve.

    Args:
        valley: After half of the longest fall of the loss; see `valley`.
        steep: Where the loss falls fastest; see `steep`.
        minimum: A tenth of the rate of the lowest loss; see `minimum`.
        slide: Before the rise at the end; see `slide`.

    Example:
        >>> rates = np.geomspace(1e-6, 1, 61)
        >>> losses = (np.log10(rates) + 2) ** 2
        >>> round(RateSuggestions.read(rates, losses).minimum, 6)
        0.001
    """

    valley: float
    steep: float
    minimum: float
    slide: float

    @classmethod
    def read(
        cls, rates: Sequence[float], losses: Sequence[float]
    ) -> "RateSuggestions":
        """Takes the four readings.

        Args:
            rates: Rates that rise by the same factor from one to the next.
            losses: The smoothed loss at each of them.

        Raises: ValueError when there are fewer than 16 points, or the two
            have different lengths.
        """
        if not len(rates) == len(losses) >= FEWEST_POINTS:
            raise ValueError(
                "RateSuggestions: `rates` and `losses` must be of one length, "
                f"at least {FEWEST_POINTS}. Received: {len(rates)} rates and "
                f"{len(losses)} losses"
            )
        x, y = np.asarray(rates, float), np.asarray(losses, float)
        return cls(valley(x, y), steep(x, y), minimum(x, y), slide(x, y))


def valley(rates: np.ndarray, losses: np.ndarray) -> float:
    """The rate half-way down the longest fall of the loss.

    The fall is the longest decreasing subsequence of the losses. With `s` a
    third of its length, the point lies `floor(s) + floor(s / 2)` behind its
    start, which is taken to be its length before its end.

    Args:
        rates: Rising rates `(points,)`.
        losses: Smoothed losses `(points,)`.
    """
    lengths = np.ones(len(losses), int)  # of the longest fall to each point
    for point in range(1, len(losses)):
        higher = losses[:point] > losses[point]
        lengths[point] = 1 + max(lengths[:point][higher], default=0)
    end = int(lengths.argmax())
    third = lengths[end] / 3
    start = end - lengths[end]
    # A fall from the very first point starts one before it.
    return float(rates[max(0, start + int(third) + int(third / 2))])


def steep(rates: np.ndarray, losses: np.ndarray) -> float:
    """The rate at which the loss falls fastest over the logarithm of the rate.

    Args:
        rates: Rising rates `(points,)`.
        losses: Smoothed losses `(points,)`.
    """
    slopes = np.diff(losses) / np.diff(np.log(rates))
    return float(rates[slopes.argmin()])


def minimum(rates: np.ndarray, losses: np.ndarray) -> float:
    """A tenth of the rate at which the loss is lowest.

    Args:
        rates: Rising rates `(points,)`.
        losses: Smoothed losses `(points,)`.
    """
    return float(rates[losses.argmin()]) / 10


def slide(rates: np.ndarray, losses: np.ndarray) -> float:
    """The rate from which on the slope no longer changes, seen from the end.

    Two points, 15 iterations apart, slide from the end of the curve towards
    its start until the losses change by nearly the same amount at both, which
    is within 0.005 an iteration.

    Args:
        rates: Rising rates `(points,)`, at least 16.
        losses: Smoothed losses `(points,)`.
    """
    slopes = np.gradient(losses)
    changes = abs(slopes[SLIDE:] - slopes[:-SLIDE])
    flat = np.flatnonzero(changes <= FLAT)
    last_steep = flat[-1] + 1 if len(flat) else 0
    return float(rates[min(last_steep, len(changes) - 1)])
