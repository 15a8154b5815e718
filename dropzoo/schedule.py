"""`dropzoo schedule NAME`: draws a learning-rate schedule before it is used."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from dropzoo.models.atomic_write import atomic_write
from dropzoo.recipes.options import parse
from dropzoo.recipes.quiet_start import quiet_start


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of `dropzoo schedule`."""

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """cosine, cosine_restarts, snapshot, triangular, triangular2, exp_range,
    one_cycle, step, piecewise, exponential, inverse_time or polynomial."""

    peak: float = 0.1
    """Largest learning rate."""

    steps: int = 1000
    """Optimizer steps of the whole training."""

    cycles: int | None = None
    """Cycles, where the schedule has some. Default: its own number."""

    warmup: int = 0
    """Steps that rise to the schedule's first rate, among `--steps`."""

    out: str | None = None
    """The picture, a PNG file. Default: NAME.png."""

    def __post_init__(self) -> None:
        if self.out is not None and Path(self.out).suffix.lower() != ".png":
            raise ValueError(
                f"schedule: `out` must end in .png. Received: out={self.out!r}"
            )


def main(argv: Sequence[str] | None = None) -> int:
    """Draws a schedule and tells its first, largest and last rate.

    Args:
        argv: Words of the command line after the verb. `None` reads
            `sys.argv[1:]`.

    Returns:
        0, the exit status.

    Raises:
        ValueError: The name is unknown, or a number is outside its range.
        OSError: The picture cannot be written.
    """
    config = parse(
        Config,
        argv,
        prog="dropzoo schedule",
        description="Draw a learning-rate schedule as a PNG.",
    )
    quiet_start()
    rates = _rates(config)
    path = Path(config.out or f"{config.name}.png")
    with atomic_write(path) as part:
        _draw(rates, config.name, part)
    peak = max(range(len(rates)), key=rates.__getitem__)
    print(
        f"{path}: step 0 has the rate {rates[0]:.3g}, step {peak} the largest, "
        f"{rates[peak]:.3g}, and the last step, {len(rates) - 1}, "
        f"{rates[-1]:.3g}"
    )
    return 0


def _rates(config: Config) -> list[float]:
    """The rate of each step."""
    import keras

    from dropzoo import schedules

    cycles = {} if config.cycles is None else {"cycles": config.cycles}
    schedule = schedules.get(
        config.name,
        peak=config.peak,
        steps=config.steps,
        warmup_steps=config.warmup,
        **cycles,
    )
    if keras.backend.backend() == "torch":
        # There Keras's piecewise schedule takes one step at a time.
        return [float(schedule(step)) for step in range(config.steps)]
    steps = keras.ops.arange(config.steps)
    return keras.ops.convert_to_numpy(schedule(steps)).tolist()


def _draw(rates: Sequence[float], name: str, path: Path) -> None:
    # Imported here, and without pyplot: `--help` needs neither, and a picture
    # in a file needs no window.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(rates, color="tab:blue", linewidth=1.6)
    axes.set_title(name, fontsize=10)
    axes.set_xlabel("optimizer step", fontsize=9)
    axes.set_ylabel("learning rate", fontsize=9)
    axes.set_xlim(0, max(1, len(rates) - 1))
    axes.set_ylim(bottom=0)
    axes.grid(color="0.9")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, format="png", facecolor="white")
