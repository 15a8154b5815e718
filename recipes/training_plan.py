"""From options, a paper and a budget to the figures of one training."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from dropzoo.recipes.paper import Paper
from dropzoo.recipes.train_options import Machine, Photos, Training


@dataclasses.dataclass(frozen=True)
class TrainingPlan:
    """The figures of one training from scratch.

    Args:
        paper: What they come from.
        model: Network of the catalogue.
        options: Options of its builder.
        image_size: Side of its input in pixels; `None` for its own.
        epochs: Passes over the training photos.
        num_photos: Training photos that are used.
        batch_size: Photos for one update.
        rate: Learning rate at its highest.
        weight_decay: As `models.sgd_with_l2` has it.
        augmentation: Names of changes.
        plain_epochs: Epochs at the end without changes.
        devices: Devices that share each batch.
        accumulate: Steps that make an update.
        notes: What was decided, in sentences.
    """

    paper: Paper
    model: str
    options: Mapping[str, Any]
    image_size: int | None
    epochs: int
    num_photos: int
    batch_size: int
    rate: float
    weight_decay: float
    augmentation: tuple[str, ...]
    plain_epochs: int
    devices: int
    accumulate: int
    notes: tuple[str, ...] = ()

    @property
    def image_passes(self) -> int:
        """How often a photo goes through the network in training."""
        return self.epochs * self.num_photos

    def to_dict(self) -> dict[str, Any]:
        """The figures in types that JSON knows."""
        names = (field.name for field in dataclasses.fields(self))
        values = {name: getattr(self, name) for name in names}
        return {
            **values,
            "paper": self.paper.reference,
            "options": dict(self.options),
            "image_passes": self.image_passes,
        }


def plan_training(
    paper: Paper,
    photos: Photos,
    training: Training,
    machine: Machine,
    *,
    budget: float,
    num_photos: int,
    num_classes: int,
    flips_are_safe: bool,
) -> TrainingPlan:
    """Decides the figures of a training.

    What was asked for holds; the rest is the paper's, on a budget. A budget of
    `b` leaves each of epochs, photos and the network's work for a photo the
    cube root of `b`, so that all the work is about `b` of the published. Where
    the network has a name of its own it stays whole, and the other two get the
    square root.

    Args:
        paper: What to start from.
        photos: Its options on photos.
        training: Its options on the training.
        machine: Its options on the machine.
        budget: In (0, 1].
        num_photos: Training photos that there are.
        num_classes: Number of classes.
        flips_are_safe: Whether a mirrored photo keeps its label.

    Raises: ValueError when the batch cannot be divided among devices and
        steps, or there are fewer photos than those.
    """
    whole = {} if training.model else dict(paper.smaller(1.0))
    share = budget ** (1 / 3 if whole else 1 / 2)
    epochs = training.epochs or _shrunk_epochs(paper, share)
    used = max(round(num_photos * share), min(num_photos, 2 * num_classes))
    scale = (training.batch_size or paper.batch_size) / paper.batch_size
    decay = training.weight_decay
    plan = TrainingPlan(
        paper=paper,
        model=training.model or paper.model,
        options=_options(paper, training, share),
        image_size=_image_size(paper, photos, training),
        epochs=epochs,
        num_photos=used,
        batch_size=_batch_size(training, machine, paper, used),
        rate=training.rate or paper.rate * scale,
        weight_decay=paper.l2 if decay is None else decay,
        augmentation=_augmentation(paper, photos, flips_are_safe),
        plain_epochs=round(paper.plain_epochs * epochs / paper.epochs),
        devices=machine.devices,
        accumulate=machine.accumulate,
    )
    notes = _notes(plan, budget, num_photos, whole, training)
    return dataclasses.replace(plan, notes=tuple(notes))


def _options(
    paper: Paper, training: Training, share: float
) -> Mapping[str, Any]:
    """Of the network's builder: none for a network of one's own."""
    if training.model:
        return {}
    return {**paper.options, **(paper.smaller(share) if share < 1 else {})}


def _image_size(paper: Paper, photos: Photos, training: Training) -> int | None:
    if photos.image_size:
        return photos.image_size
    return None if training.model else paper.image_size


def _shrunk_epochs(paper: Paper, share: float) -> int:
    """Epochs on a budget: each cycle of the rate has equally many."""
    return max(1, round(paper.epochs * share / paper.cycles)) * paper.cycles


def _batch_size(
    training: Training, machine: Machine, paper: Paper, num_photos: int
) -> int:
    parts = machine.devices * machine.accumulate
    asked = training.batch_size or paper.batch_size
    if asked % parts:
        raise ValueError(
            "train: `batch_size` must be a multiple of `devices` times "
            f"`accumulate`, {parts}. Received: batch_size={asked}"
        )
    fitting = min(asked, num_photos) // parts * parts
    if not fitting:
        raise ValueError(
            f"train: there must be at least {parts} training photos, one for "
            f"each of `devices` and steps. Received: {num_photos}"
        )
    return fitting


def _augmentation(
    paper: Paper, photos: Photos, flips_are_safe: bool
) -> tuple[str, ...]:
    if photos.augmentation is not None:
        names = photos.augmentation.replace(" ", "").split(",")
        return () if names == ["none"] else tuple(names)
    if paper.augmentation or paper.published != "none":
        return paper.augmentation
    return ("shift", "flip") if flips_are_safe else ("shift",)


def _notes(
    plan: TrainingPlan,
    budget: float,
    num_photos: int,
    whole: Mapping[str, Any],
    training: Training,
) -> Iterator[str]:
    paper = plan.paper
    if paper.published != "none":
        yield (
            f"Recipe of {paper.reference}, which published {paper.published}."
        )
        if paper.differs and not training.model:
            yield f"Not as published: {paper.differs}"
    if budget < 1:
        yield f"Budget {budget:g}: {_shrunk(plan, num_photos, whole)}"
    if plan.num_photos < paper.batch_size and not training.batch_size:
        yield f"Batches have {plan.batch_size} photos: there are no more."
    yield _update(plan, training)


def _shrunk(
    plan: TrainingPlan, num_photos: int, whole: Mapping[str, Any]
) -> str:
    """Says what a budget has left."""
    paper = plan.paper
    left = [
        f"{plan.epochs} of {paper.epochs} epochs",
        f"{plan.num_photos:,} of {num_photos:,} training photos",
        *(
            f"{name} {_text(plan.options[name])} of {_text(value)}"
            for name, value in whole.items()
        ),
    ]
    return (
        f"{', '.join(left)}; {plan.image_passes:,} of "
        f"{paper.epochs * num_photos:,} passes of a photo. The rate changes at "
        "the same shares of the training."
    )


def _update(plan: TrainingPlan, training: Training) -> str:
    """Says what an update sees, and at which rate."""
    parts = plan.batch_size // (plan.devices * plan.accumulate)
    counts = {"devices": plan.devices, "steps": plan.accumulate}
    shared = [f"{n} {what} x" for what, n in counts.items() if n > 1]
    made_of = f" ({' '.join(shared)} {parts})" if shared else ""
    sentence = f"An update sees {plan.batch_size} photos{made_of}; "
    if training.rate:
        return f"{sentence}rate {plan.rate:g}."
    if plan.rate != plan.paper.rate:
        return (
            f"{sentence}rate {plan.rate:g}, {plan.paper.rate:g} times "
            f"{training.batch_size} / {plan.paper.batch_size}."
        )
    return f"{sentence}rate {plan.paper.schedule_text}."


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return " and ".join(map(str, value))
    return str(value)
