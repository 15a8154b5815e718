"""The first step of every recipe: load and check the photos, and say so."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dropzoo.data import ImageData
    from dropzoo.recipes.steps import Steps


def load_photos(
    source: str,
    steps: "Steps",
    *,
    seed: int,
    limit: int | None,
    data_dir: str | None,
) -> "ImageData":
    """Loads and checks the photos, and says what was found.

    Every photo is decoded once: a damaged one is found now, not in the last
    epoch.

    Args:
        source: As in `dropzoo.data.load`, and so are the others.
        steps: Where progress is shown.
        seed: Of the splits.
        limit: Largest number of training photos.
        data_dir: Where TensorFlow Datasets keeps its data sets.
    """
    # Imported here: `--help` of a recipe needs no TensorFlow.
    from dropzoo.data import load
    from dropzoo.models.cache_folder import cache_folder

    with steps.step("Data"), steps.bar("checking photos") as bar:
        data = load(
            source,
            seed=seed,
            limit=limit,
            data_dir=data_dir,
            cache_dir=cache_folder("decoded"),
            progress=bar.advance_to,
        )
    for line in data.findings.lines():
        steps.say(line)
    return data
