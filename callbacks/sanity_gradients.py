"""Whether the gradient reaches every layer that trains."""

import numpy as np

from dropzoo.callbacks.sanity_failure import SanityFailure
from dropzoo.callbacks.trial_training import TrialTraining

STEPS = 3  # a branch that begins at zero has a gradient from the second on
RATE = 1e-3
# What TensorFlow and PyTorch say where the loss depends on no variable.
NO_GRADIENT = ("No gradients provided", "does not require grad")


def gradient_failures(
    trial: TrialTraining, x: np.ndarray, y: np.ndarray
) -> list[SanityFailure]:
    """Looks for layers whose gradient is not finite, or zero in all steps.

    Args:
        trial: Takes the steps.
        x: Inputs of a tiny batch.
        y: Its labels.
    """
    sentence = _sentence(_gradient_sums(trial, x, y))
    return [SanityFailure("gradients", sentence)] if sentence else []


def _gradient_sums(
    trial: TrialTraining, x: np.ndarray, y: np.ndarray
) -> dict[str, list[float]]:
    """Of each layer that trains, how large its variables' gradients were."""
    if trial.model.trainable_variables:
        trial.restart(RATE)
        try:
            for _ in range(STEPS):
                trial.step(x, y)
        except (ValueError, RuntimeError) as error:
            if not any(words in str(error) for words in NO_GRADIENT):
                raise
    sums: dict[str, list[float]] = {}
    for variable, total in trial.gradient_sums():
        path = variable.path.removeprefix(f"{trial.model.name}/")
        layer = path.rpartition("/")[0] or path
        sums.setdefault(layer, []).append(total)
    return sums


def _sentence(sums: dict[str, list[float]]) -> str | None:
    if not sums:
        return (
            "No layer trains; everything is probably frozen: thaw the head "
            "and compile again."
        )
    wild = [layer for layer, x in sums.items() if not np.isfinite(x).all()]
    if wild:
        return (
            f"The gradient is not finite in {_names(wild)}; the model or its "
            "loss probably divides by zero, takes the logarithm of zero or "
            "overflows."
        )
    absent = [layer for layer, x in sums.items() if not any(x)]
    if absent:
        return (
            f"No gradient reaches {_names(absent)}; the loss probably does "
            "not depend on it, or what follows is dead: weights of zero, "
            "ReLUs that are never active, a rounding."
        )
    return None


def _names(layers: list[str]) -> str:
    shown = ", ".join(f"`{layer}`" for layer in layers[:3])
    return f"{shown} and {len(layers) - 3} more" if layers[3:] else shown
