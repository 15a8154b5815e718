"""Draws docs/curve-diagnosis.png: a real training with each fault."""

import json
from pathlib import Path

import matplotlib
from matplotlib import pyplot as plt

ROOT = Path(__file__).parents[2]
CURVES = ROOT / "tests" / "callbacks" / "curves" / "tuning.json"
OUTPUT = ROOT / "docs" / "curve-diagnosis.png"
SHOWN = (
    ("healthy", "digits, momentum, constant"),
    ("rate too low", "digits, momentum, 1/100"),
    ("rate too high", "digits, momentum, 10"),
    ("diverging", "clusters, sgd, 100"),
    ("bad initialisation", "digits, momentum, 0.03"),
    ("plateau", "digit_images, adam, half"),
    ("underfitting", "digit_images, adam, L2"),
    ("overfitting", "digits, momentum, 4 for each class"),
)


def show(axes, curve):
    training = [curve["first"], *curve["parts"]]
    epochs = len(curve["loss"])
    places = [epochs * n / len(training) for n in range(len(training))]
    axes.plot(places, training, color="tab:blue", label="training")
    places = range(1, epochs + 1)
    axes.plot(places, curve["val_loss"], color="tab:orange", label="validation")
    axes.axhline(curve["chance"], color="0.6", linestyle=":", linewidth=1)
    axes.set_ylim(0, None)
    axes.set_title(f"{curve['truth']}\n{curve['name']}", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def main():
    matplotlib.use("Agg")
    curves = json.loads(CURVES.read_text())
    figure, grid = plt.subplots(
        2, 4, figsize=(9.6, 4.6), dpi=110, layout="constrained", sharex=True
    )
    for axes, (truth, name) in zip(grid.flat, SHOWN, strict=True):
        found = (x for x in curves if (x["truth"], x["name"]) == (truth, name))
        show(axes, next(found))
    grid[0, 0].legend(fontsize=7, frameon=False)
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel("loss; dotted: ln C", fontsize=9)
    figure.savefig(OUTPUT, facecolor="white")


if __name__ == "__main__":
    main()
