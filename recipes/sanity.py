"""Checks that data and network fit together, before time is spent on them.

Reference: Karpathy, CS231n course notes, "Neural Networks Part 3", section
"Sanity checks".
"""

import math
from collections.abc import Callable

import keras
import numpy as np
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from dropzoo.callbacks.few_of_each_class import few_of_each_class
from dropzoo.data.examples import Examples
from dropzoo.data.pipeline import evaluation_batches, image_errors
from dropzoo.models.heads import HEAD
from dropzoo.models.preprocessing import check_raw_range

TINY = 20  # photos


def check_start(
    network: keras.Model,
    examples: Examples,
    num_classes: int,
    say: Callable[[str], None],
) -> None:
    """Looks at the first loss and at a tiny batch.

    A network that knows nothing of the classes has a loss near ln C. A head
    must be able to learn 20 photos by heart.

    Args:
        network: The network with a new, random head.
        examples: The training photos.
        num_classes: Number of classes C.
        say: Takes each finding as a sentence.

    Raises: ValueError when the network's output is not finite, or the tiny
        batch cannot be learned: then pictures, labels or weights are wrong.
    """
    tiny = examples.subset(few_of_each_class(examples.labels, TINY))
    batches = evaluation_batches(
        tiny, network.input_shape[1:3], batch_size=TINY
    )
    with image_errors():
        images, labels = (np.asarray(part) for part in next(iter(batches)))
    check_raw_range(images)
    inside = keras.Model(
        network.input, [network.get_layer(HEAD).input, network.output]
    )
    features, logits = (
        np.asarray(part, "float64") for part in inside.predict_on_batch(images)
    )
    if not np.isfinite(logits).all():
        raise ValueError(
            "finetune: the network gives values that are not finite on the "
            "training photos; use other `weights` or `precision` float32."
        )
    first = _loss(logits, labels)
    expected = math.log(num_classes)
    say(f"First loss {first:.2f}; ln {num_classes} is {expected:.2f}.")
    if not expected / 3 < first < expected * 3:
        say("warning: that is far from ln C; do the weights fit the network?")
    if len(np.unique(labels)) > 1:
        last = _learned_loss(features, labels)
        say(f"A head learns {len(labels)} photos down to a loss of {last:.3f}.")
        if last > 0.1:
            raise ValueError(
                f"finetune: a head must learn {len(labels)} photos by heart, "
                f"but its loss stays at {last:.2f}; are equal photos in "
                "different classes, or all photos blank?"
            )


def _loss(logits: np.ndarray, labels: np.ndarray) -> float:
    scores = log_softmax(logits, axis=1)
    return float(-scores[np.arange(len(labels)), labels].mean())


def _learned_loss(features: np.ndarray, labels: np.ndarray) -> float:
    scaled = features / max(features.std(), 1e-6)
    head = LogisticRegression(C=1e3, max_iter=500).fit(scaled, labels)
    return float(log_loss(labels, head.predict_proba(scaled)))
