"""The pretrained network that a recipe starts from.

Its weights have a name in the catalogue, lie in a file, or come from an earlier
run, which then also decides the network.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from dropzoo.recipes.run_folder import RunFolder

if TYPE_CHECKING:
    from dropzoo.models.starting_point import StartingPoint


def starting_point(
    model: str, weights: str, image_size: int | None, default_model: str
) -> "StartingPoint":
    """The pretrained network that a recipe's options ask for.

    Args:
        model: Name of a network of the catalogue.
        weights: A tag of the network, a file, an earlier run's folder, or
            `"random"`.
        image_size: Side of the input in pixels; `None` for the network's own.
        default_model: The value of `model` when it was left out.

    Raises:
        ValueError: The network is not that of the earlier run.
        OSError: The earlier run or the file cannot be read.
    """
    from dropzoo.models.starting_point import from_catalogue, from_saved_model

    earlier = _earlier_run(model, weights)
    if earlier is None:
        tag = None if weights == "random" else weights
        return from_catalogue(model, tag, image_size)
    start = from_saved_model(earlier.model(), image_size)
    if model not in (default_model, start.backbone.name):
        raise ValueError(
            "finetune: `model` must be left out, or be the network of the "
            f"earlier run in `weights`, {start.backbone.name}. "
            f"Received: model={model!r}"
        )
    return start


def network_name(model: str, weights: str) -> str:
    """The network that a run gets, which an earlier run may decide.

    Args:
        model: Name of a network of the catalogue.
        weights: As for `starting_point`.
    """
    earlier = _earlier_run(model, weights)
    if earlier is None or not earlier.finished:
        return model
    return earlier.read_json("metrics.json")["model"]["name"]


def _earlier_run(model: str, weights: str) -> RunFolder | None:
    """The run that the weights come from, where they name one."""
    from dropzoo.models import model_info

    # A folder may happen to be called `imagenet`: names of weights come first.
    tags = {record.tag for record in model_info(model).weights}
    if weights in tags | {"random"} or not Path(weights).is_dir():
        return None
    earlier = RunFolder.open(weights)
    earlier.model()  # refused before TensorFlow starts
    return earlier
