"""The papers' recipes as a table in Markdown, and what differs from them."""

from collections.abc import Iterator

from dropzoo.recipes.paper import Paper
from dropzoo.recipes.papers import PAPERS

HEAD = (
    "`--paper`",
    "network",
    "photos",
    "epochs",
    "batch",
    "rate",
    "momentum",
    "weight decay",
    "augmentation",
    "published error",
)


def paper_table() -> str:
    """A row for each paper; below them what is not as published, and why."""
    rows = [HEAD, ("---",) * len(HEAD)]
    rows += [tuple(_cells(name, paper)) for name, paper in PAPERS.items()]
    table = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*table, "", *_remarks()])


def _cells(name: str, paper: Paper) -> Iterator[str]:
    yield f"`{name}`"
    yield f"`{paper.model}`"
    yield f"`{paper.data}`"
    yield str(paper.epochs)
    yield str(paper.batch_size)
    yield paper.schedule_text
    yield f"{paper.momentum:g}{' (Nesterov)' if paper.nesterov else ''}"
    yield f"{paper.l2:g}"
    yield ", ".join(paper.augmentation) or "none"
    yield paper.published


def _remarks() -> Iterator[str]:
    for name, paper in PAPERS.items():
        yield f"- `{name}`: {paper.reference}. {paper.differs}"
