"""Whether a project folder holds this search or another one."""

import json
from pathlib import Path
from typing import Any

from dropzoo.models.atomic_write import atomic_write

FILE = "search.json"


def identify_search(hypermodel: Any, **plan: Any) -> dict[str, Any]:
    """All that decides what a search tries.

    Args:
        hypermodel: A `keras_tuner.HyperModel` or a function that builds. It
            is built once, for its space.
        **plan: What else must be as it was, by name of argument.

    Returns: Facts as JSON has them.

    Raises: TypeError where `hypermodel` is neither.
    """
    import keras_tuner

    space = keras_tuner.HyperParameters()
    if isinstance(hypermodel, keras_tuner.HyperModel):
        name = type(hypermodel).__qualname__
        hypermodel.declare_hyperparameters(space)
        hypermodel.build(space)
    elif callable(hypermodel):
        name = getattr(hypermodel, "__qualname__", type(hypermodel).__name__)
        hypermodel(space)
    else:
        raise TypeError(
            "CoarseToFine: `hypermodel` must be a keras_tuner.HyperModel or a "
            "function of hyperparameters that builds a compiled network. "
            f"Received: hypermodel={hypermodel!r}"
        )
    facts = {"hypermodel": name, "space": space.get_config()["space"], **plan}
    return json.loads(json.dumps(facts, sort_keys=True))


def check_identity(project: Path, facts: dict[str, Any]) -> None:
    """Refuses the project folder of another search.

    Args:
        project: Its folder, which need not exist.
        facts: From `identify_search`.

    Raises: ValueError where another search has left its files.
    """
    if not (project / "oracle.json").is_file():
        return
    remedy = (
        "choose another `project_name`, or pass `overwrite=True` to lose it. "
    )
    file = project / FILE
    if not file.is_file():
        raise ValueError(
            f"CoarseToFine: {project} holds the search of another tuner; "
            f"{remedy}Received: project_name={project.name!r}"
        )
    kept = json.loads(file.read_text("utf-8"))
    others = [name for name in facts if kept.get(name) != facts[name]]
    if others:
        names = ", ".join(f"`{name}`" for name in others)
        raise ValueError(
            f"CoarseToFine: {project} holds a search with another {names}; "
            f"{remedy}Received: {others[0]}={_short(facts[others[0]])}"
        )


def write_identity(project: Path, facts: dict[str, Any]) -> None:
    """Marks a project folder as that of this search.

    Args:
        project: Its folder.
        facts: From `identify_search`.
    """
    with atomic_write(project / FILE) as part:
        part.write_text(json.dumps(facts, indent=1), encoding="utf-8")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 200 else f"{text[:197]}..."
