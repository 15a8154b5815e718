"""Features as the probe learns from them: centred, and of unit spread."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Scaling:
    """Subtracts each channel's mean and divides by the spread of all.

    One spread for all channels leaves the penalty the same for each. Without
    the mean, which the bias makes up for, the same minimum is found in a
    fraction of the steps.

    Args:
        centre: Mean of each channel, `(channels,)`.
        spread: Standard deviation of all features, above 0.
    """

    centre: np.ndarray
    spread: float

    @classmethod
    def of(cls, x: np.ndarray) -> "Scaling":
        """Measures features.

        Args:
            x: `(examples, channels)`.
        """
        # Blank photos have no spread.
        return cls(x.mean(axis=0), float(x.std()) or 1.0)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Scales features.

        Args:
            x: `(examples, channels)`.
        """
        return (x - self.centre) / self.spread

    def undo(
        self, kernel: np.ndarray, bias: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The head on features as they are, float32.

        Args:
            kernel: Fitted on scaled features, `(channels, classes)`.
            bias: `(classes,)`.
        """
        kernel = kernel / self.spread
        bias = bias - self.centre @ kernel
        return kernel.astype("float32"), bias.astype("float32")


def as_examples(
    views: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Makes every view an example of its own.

    Args:
        views: Features `(images, views, channels)`.
        labels: Classes of the images, `(images,)`.

    Returns: Features `(images * views, channels)` and their classes.
    """
    x = views.reshape(-1, views.shape[-1])
    return x, np.repeat(labels, views.shape[1])
