"""Draws docs/schedules.png: every schedule by its name."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import matplotlib
from matplotlib import pyplot as plt

from dropzoo import schedules

STEPS, PEAK = 840, 0.1  # a multiple of the cycles of every schedule
OUTPUT = Path(__file__).parents[1] / "schedules.png"
PANELS = [
    ("cosine", {"warmup_steps": 80}),
    ("cosine_restarts", {}),
    ("snapshot", {}),
    ("triangular", {}),
    ("triangular2", {}),
    ("exp_range", {}),
    ("one_cycle", {}),
    ("one_cycle", {"shape": "fastai"}),
    ("one_cycle", {"shape": "smith"}),
    ("step", {}),
    ("exponential", {}),
    ("inverse_time", {}),
]


def show(axes, name, options):
    schedule = schedules.get(name, peak=PEAK, steps=STEPS, **options)
    rates = keras.ops.convert_to_numpy(schedule(keras.ops.arange(STEPS)))
    axes.plot(rates, color="tab:blue", linewidth=1.4)
    note = ", ".join(f"{key}={value!r}" for key, value in options.items())
    axes.set_title(f"{name}  {note}".strip(), fontsize=8)
    axes.set_xlim(0, STEPS)
    axes.set_ylim(0, PEAK * 1.05)
    axes.grid(color="0.92")
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def main():
    matplotlib.use("Agg")
    figure, grid = plt.subplots(
        4, 3, figsize=(8.4, 7), dpi=110, layout="constrained", sharex=True
    )
    for axes, (name, options) in zip(grid.flat, PANELS, strict=True):
        show(axes, name, options)
    figure.supxlabel("optimizer step", fontsize=9)
    figure.supylabel("learning rate", fontsize=9)
    figure.savefig(OUTPUT, facecolor="white")


if __name__ == "__main__":
    main()
