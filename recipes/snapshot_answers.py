"""What snapshots say of some photos, alone and together."""

import dataclasses

import keras
import numpy as np

from dropzoo.data.examples import Examples
from dropzoo.evaluation.members import (
    Contender,
    EnsembleFigures,
    disagreement,
    error_and_loss,
    last_means,
)
from dropzoo.recipes.scoring import log_probabilities
from dropzoo.recipes.snapshot_members import Members
from dropzoo.recipes.steps import Steps

SINGLE = "one run in one cycle"


@dataclasses.dataclass(frozen=True, eq=False)
class Answers:
    """Probabilities that snapshots, and one run, give some photos.

    Args:
        labels: Right classes, `(images,)`.
        members: `(members, images, classes)`.
        single: Of the run in one cycle, `(images, classes)`, if there is one.
    """

    labels: np.ndarray
    members: np.ndarray
    single: np.ndarray | None = None

    @classmethod
    def collect(
        cls,
        members: Members,
        single: keras.Model | None,
        examples: Examples | None,
        steps: Steps,
    ) -> "Answers | None":
        """Asks them.

        Args:
            members: The snapshots.
            single: The network of the run in one cycle.
            examples: The photos; `None` gives `None`.
            steps: Where progress is shown.
        """
        if examples is None:
            return None
        total = len(examples) * (len(members) + (single is not None))
        with steps.bar("photos", total) as bar:
            tables = members.probabilities(examples, bar.advance)
            own = None
            if single is not None:
                scores = log_probabilities(single, examples, bar.advance)
                own = np.exp(scores)
        return cls(examples.labels, tables, own)

    @property
    def together(self) -> np.ndarray:
        """Of the last one, two, ... snapshots, shaped as `members`."""
        return last_means(self.members)

    def by_name(self, members: Members) -> dict[str, np.ndarray]:
        """Each snapshot, the last two, three, ... together, and the run.

        Args:
            members: The snapshots that were asked.
        """
        alone = zip(members.members, self.members, strict=True)
        named = {member.name: table for member, table in alone}
        for number, table in enumerate(self.together, start=1):
            named.setdefault(name_of(members, number), table)
        if self.single is not None:
            named[SINGLE] = self.single
        return named


@dataclasses.dataclass(frozen=True)
class Choice:
    """How many of the last snapshots make the kept model.

    Args:
        number: At least 1.
        name: What a person calls them.
        reason: A sentence.
    """

    number: int
    name: str
    reason: str

    @classmethod
    def of(cls, members: Members, validation: Answers | None) -> "Choice":
        """Takes as many as have the lowest loss on validation photos.

        Args:
            members: The snapshots.
            validation: What they say there; without it all are kept.
        """
        if validation is None:
            name = name_of(members, len(members))
            return cls(len(members), name, f"Kept: {name}.")
        losses = [
            error_and_loss(table, validation.labels)[1]
            for table in validation.together
        ]
        number = int(np.argmin(losses)) + 1
        name = name_of(members, number)
        return cls(
            number,
            name,
            f"Kept: {name}, of {len(members)} snapshots; its loss on "
            f"{len(validation.labels):,} validation photos, "
            f"{min(losses):.3f}, is the lowest of all numbers of last ones.",
        )


def name_of(members: Members, number: int) -> str:
    """What a person calls the last so many snapshots.

    Args:
        members: All of them.
        number: How many.
    """
    if number == 1:
        return members.members[-1].name
    return f"last {number} together"


def compare(
    members: Members,
    choice: Choice,
    validation: Answers | None,
    test: Answers | None,
    picture: bytes,
) -> EnsembleFigures:
    """The figures of all contenders, for the report.

    Args:
        members: The snapshots.
        choice: What is kept.
        validation: What was said of the validation photos.
        test: What was said of the test photos.
        picture: The rate with the snapshots on it, a PNG file.
    """
    splits = {"validation": validation, "test": test}
    scores: dict[str, dict[str, float]] = {}
    for split, answers in splits.items():
        if answers is not None:
            for name, table in answers.by_name(members).items():
                error, loss = error_and_loss(table, answers.labels)
                scores.setdefault(name, {}).update(
                    {f"{split}_error": error, f"{split}_loss": loss}
                )
    asked = test or validation
    shares = None if asked is None else disagreement(asked.members)
    return EnsembleFigures(
        contenders=tuple(Contender(n, **s) for n, s in scores.items()),
        kept=choice.name,
        reason=choice.reason,
        last=name_of(members, 1),
        members=tuple(f"{m.number}" for m in members.members),
        disagreement=np.zeros((0, 0)) if shares is None else shares,
        measured_on="test" if test else "validation",
        picture=picture,
    )
