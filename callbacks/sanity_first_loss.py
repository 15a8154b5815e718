"""Whether a network that knows nothing has the loss of chance."""

from typing import Any

import numpy as np
from keras import ops

from dropzoo.callbacks.compiled_loss import CompiledLoss
from dropzoo.callbacks.sanity_failure import SanityFailure


def first_loss_failures(
    loss: CompiledLoss, x: np.ndarray, y: np.ndarray, outputs: Any
) -> list[SanityFailure]:
    """Compares the loss before the first step with ln C.

    Args:
        loss: The loss of a model that is not yet trained. One that is no
            cross-entropy only has to be finite.
        x: Inputs of a batch with some examples of each class.
        y: Its labels.
        outputs: What the model gives for them.
    """
    value = loss.of_batch(x, y, outputs)
    largest = float(ops.max(ops.abs(outputs)))
    if not np.isfinite([value, largest]).all():
        sentence = (
            f"The first loss is {value:g} and the largest output {largest:g}; "
            "the weights are probably damaged, or too large for float16."
        )
        return [SanityFailure("first loss", sentence)]
    doubled = loss.doubled_activation()
    if doubled:
        sentence = f"{doubled[0].upper()}{doubled[1:]}; leave one of them out."
        return [SanityFailure("first loss", sentence, fatal=False)]
    expected = loss.of_chance
    if expected is None or expected / 3 < value < expected * 3:
        return []
    cause = loss.missing_activation() or (
        "the first weights or the input are probably too large"
        if value > expected
        else "the head was probably trained before"
    )
    sentence = (
        f"The first loss is {value:.3g}, but who knows nothing has "
        f"{expected:.3g}, the logarithm of the number of classes; {cause}."
    )
    return [SanityFailure("first loss", sentence, fatal=False)]
