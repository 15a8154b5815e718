"""Whether fine-tuning helps, judged on images that it has not seen."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether fine-tuning helps, judged on images it has not seen.

    Args:
        judged_on: What it was judged on, in words.
        head_loss: Mean negative log-likelihood of the head alone.
        head_accuracy: Its accuracy in [0, 1].
        tuned_loss: The same of the fine-tuned network; `None` where nothing
            was fine-tuned.
        tuned_accuracy: The same of the fine-tuned network.
        helps: Whether the fine-tuned network is kept.
    """

    judged_on: str
    head_loss: float
    head_accuracy: float
    tuned_loss: float | None
    tuned_accuracy: float | None
    helps: bool

    def sentence(self) -> str:
        """What was measured and kept, for a person."""
        alone = f"{self.head_accuracy:.1%} (loss {self.head_loss:.3f})"
        if self.tuned_loss is None:
            return f"Kept: the head alone, {alone} on {self.judged_on}."
        tuned = f"{self.tuned_accuracy:.1%} (loss {self.tuned_loss:.3f})"
        kept = "the fine-tuned network" if self.helps else "the head alone"
        return (
            f"Kept: {kept}. On {self.judged_on} the head alone reaches "
            f"{alone}, fine-tuned {tuned}."
        )


def judge(
    judged_on: str,
    head: tuple[np.ndarray, np.ndarray],
    tuned: tuple[np.ndarray, np.ndarray],
) -> Verdict:
    """Compares two models on the same held-out images.

    Fine-tuning is kept when it lowers the mean negative log-likelihood and
    its accuracy is not lower by more than one standard error of the paired
    difference.

    Args:
        judged_on: What the images are, in words.
        head: Of the head alone: negative log-likelihood of each image
            `(images,)`, and whether its class is right `(images,)`.
        tuned: The same of the fine-tuned network.
    """
    (head_losses, head_correct), (tuned_losses, tuned_correct) = head, tuned
    gain = tuned_correct.astype(float) - head_correct
    error = gain.std() / np.sqrt(len(gain))
    lower_loss = tuned_losses.mean() < head_losses.mean()
    return Verdict(
        judged_on=judged_on,
        head_loss=float(head_losses.mean()),
        head_accuracy=float(head_correct.mean()),
        tuned_loss=float(tuned_losses.mean()),
        tuned_accuracy=float(tuned_correct.mean()),
        helps=bool(lower_loss and gain.mean() >= -error),
    )
