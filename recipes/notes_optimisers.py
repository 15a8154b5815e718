"""Optimisers: their paths over a canyon and past a saddle.

Keras's optimisers, with rates that suit each, and SciPy's L-BFGS walk down two
surfaces whose gradients are written out. The canyon is the mean squared error
of a linear regression, so that gradients of mini-batches belong to it as well.

References: Sutskever et al., "On the Importance of Initialization and Momentum
in Deep Learning", 2013; Kingma and Ba, "Adam", 2014, section 3 (the bias
correction); Dauphin et al., "Identifying and Attacking the Saddle Point
Problem", 2014; Liu and Nocedal, "On the Limited Memory BFGS Method", 1989.
"""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
from keras import optimizers
from scipy.optimize import minimize

from dropzoo.recipes.note import Note, new_figure

STEPS = 80
EXAMPLES = 64
BATCH_SIZES = (2, 8, EXAMPLES)
BETAS = 0.9, 0.999  # Adam's


@dataclasses.dataclass(frozen=True)
class Surface:
    """A function of two numbers.

    Args:
        loss: Maps points `(..., 2)` to heights.
        gradient: Maps a point `(2,)` to the gradient there.
        start: Where paths begin.
        lowest: The least height.
    """

    loss: Callable[[np.ndarray], np.ndarray]
    gradient: Callable[[np.ndarray], np.ndarray]
    start: tuple[float, float]
    lowest: float = 0.0

    def left(self, path: np.ndarray) -> np.ndarray:
        """The share of the way down that is left at each point of a path.

        Args:
            path: Points `(..., 2)`.
        """
        height = self.loss(np.array(self.start)) - self.lowest
        return (self.loss(path) - self.lowest) / height


CURVATURES = np.array([0.01, 1.0])  # of the canyon, along and across
FLATNESS = 0.05  # of the saddle
# A valley in x that is a hill in y, with a minimum at each side of the hill.
SADDLE = Surface(
    lambda p: (
        FLATNESS
        * (p[..., 0] ** 2 / 2 - p[..., 1] ** 2 / 2 + p[..., 1] ** 4 / 4)
    ),
    lambda p: FLATNESS * np.array([p[0], p[1] ** 3 - p[1]]),
    start=(-1.5, 0.01),
    lowest=-FLATNESS / 4,
)
CANYON = Surface(
    lambda p: (CURVATURES * p**2).sum(-1) / 2,
    lambda p: CURVATURES * p,
    start=(-8.0, 1.5),
)
SURFACES = {"canyon": CANYON, "saddle": SADDLE}


class WithoutCorrection(optimizers.schedules.LearningRateSchedule):
    """Divides Adam's bias correction out again.

    Keras multiplies the rate by sqrt(1 - beta2^t) / (1 - beta1^t) at step t.

    Args:
        rate: What the rate then is at every step.
    """

    def __init__(self, rate: float):
        self.rate = rate

    def __call__(self, step):
        first, second = (
            1 - keras.ops.power(beta, keras.ops.cast(step, "float32") + 1)
            for beta in BETAS
        )
        return self.rate * first / keras.ops.sqrt(second)

    def get_config(self):
        return {"rate": self.rate}


OPTIMISERS: dict[str, Callable[[], optimizers.Optimizer]] = {
    "SGD": lambda: optimizers.SGD(0.9),
    "momentum": lambda: optimizers.SGD(0.3, momentum=0.9),
    "Nesterov": lambda: optimizers.SGD(0.3, momentum=0.9, nesterov=True),
    "AdaGrad": lambda: optimizers.Adagrad(0.9),
    "RMSProp": lambda: optimizers.RMSprop(0.1),
    "Adam": lambda: optimizers.Adam(0.2),
    "uncorrected Adam": lambda: optimizers.Adam(WithoutCorrection(0.2)),
}
LBFGS = "L-BFGS"


def walk(
    optimizer: optimizers.Optimizer,
    gradient: Callable[[np.ndarray], np.ndarray],
    start: tuple[float, float],
    steps: int = STEPS,
) -> np.ndarray:
    """Lets one of Keras's optimisers go downhill.

    Args:
        optimizer: A new one.
        gradient: Maps a point `(2,)` to the gradient there.
        start: The first point.
        steps: How many.

    Returns: The points, `(steps + 1, 2)`.
    """
    point = keras.Variable(np.array(start, "float32"))
    optimizer.build([point])
    path = [np.array(start)]
    for _ in range(steps):
        slope = keras.ops.convert_to_tensor(gradient(path[-1]), "float32")
        optimizer.apply([slope])
        path.append(np.array(keras.ops.convert_to_numpy(point), "float64"))
    return np.stack(path)


def walk_lbfgs(surface: Surface) -> tuple[np.ndarray, int]:
    """Lets SciPy's L-BFGS go downhill.

    Args:
        surface: The surface.

    Returns: The points, and how often it asked for the gradient.
    """
    path = [np.array(surface.start)]
    result = minimize(
        surface.loss,
        surface.start,
        jac=surface.gradient,
        method="L-BFGS-B",
        callback=lambda point: path.append(point.copy()),
    )
    return np.stack(path), result.njev


def regression(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Examples whose mean squared error is the canyon, at its bottom a noise.

    Args:
        seed: Of the draw.

    Returns: Inputs `(examples, 2)` whose second moments are the canyon's
        curvatures, and targets that no inputs explain.
    """
    rng = np.random.default_rng(seed)
    orthogonal, _ = np.linalg.qr(rng.normal(size=(EXAMPLES, 3)))
    columns = orthogonal * np.sqrt(EXAMPLES)  # second moments of 1
    return columns[:, :2] * np.sqrt(CURVATURES), columns[:, 2] / 2


def walk_in_batches(batch_size: int, seed: int) -> np.ndarray:
    """Gradient descent down the canyon by mini-batches of its examples.

    Args:
        batch_size: Examples of a step.
        seed: Of examples and batches.

    Returns: The points.
    """
    inputs, targets = regression(seed)
    rng = np.random.default_rng(seed)

    def gradient(point):
        batch = rng.choice(EXAMPLES, batch_size, replace=False)
        errors = inputs[batch] @ point - targets[batch]
        return inputs[batch].T @ errors / batch_size

    return walk(optimizers.SGD(0.3), gradient, CANYON.start)


def note(seed: int) -> Note:
    """Walks all paths, and tells.

    Args:
        seed: Of the mini-batches; the other paths have no chance in them.
    """
    paths = {
        (name, where): walk(create(), surface.gradient, surface.start)
        for where, surface in SURFACES.items()
        for name, create in OPTIMISERS.items()
    }
    asked = {}
    for where, surface in SURFACES.items():
        paths[LBFGS, where], asked[where] = walk_lbfgs(surface)
    noisy = {size: walk_in_batches(size, seed) for size in BATCH_SIZES}
    rows: list[tuple[str, ...]] = [
        (
            name,
            *(_reached(paths[name, where], where) for where in SURFACES),
            f"{np.abs(np.diff(paths[name, 'canyon'][:2], axis=0)).max():.3f}",
        )
        for name in (*OPTIMISERS, LBFGS)
    ]
    rows += [
        (f"SGD, batches of {size}", f"shakes by {shaking(path):.3f}", "", "")
        for size, path in noisy.items()
    ]
    columns = (
        "optimiser",
        "canyon: left, steps to 1%",
        "saddle: left, steps to 1%",
        ">first step",
    )
    figure = _draw(paths, noisy)
    return Note(columns, rows, figure, _sentences(paths, noisy, asked))


def steps_to(path: np.ndarray, surface: Surface, share: float) -> int | None:
    """Steps until a path keeps to the lowest part of the way down.

    Args:
        path: Points.
        surface: Where they lie.
        share: Of the way down that may be left.

    Returns: None where it does not come so far.
    """
    above = surface.left(path) > share
    last = int(np.flatnonzero(above).max(initial=-1))
    return None if last + 1 == len(path) else last + 1


def shaking(path: np.ndarray) -> float:
    """How far a path strays across the canyon in its second half.

    Args:
        path: Points.
    """
    return float(np.sqrt(np.mean(path[len(path) // 2 :, 1] ** 2)))


def _reached(path, where):
    surface = SURFACES[where]
    steps = steps_to(path, surface, 0.01)
    left = surface.left(path[-1])
    return f"{left:.1%}, {'-' if steps is None else steps}"


def _sentences(paths, noisy, asked):
    steps = {
        where: {
            name: steps_to(paths[name, where], SURFACES[where], 0.01)
            or f"more than {STEPS}"
            for name in (*OPTIMISERS, LBFGS)
        }
        for where in SURFACES
    }
    canyon = ", ".join(f"{n} {s}" for n, s in steps["canyon"].items())
    off = {n: s for n, s in steps["saddle"].items() if isinstance(s, int)}
    order = sorted(set(off) - {LBFGS}, key=off.__getitem__)
    stuck = [name for name in OPTIMISERS if name not in off]
    first = {
        name: float(np.abs(paths[name, "canyon"][1] - CANYON.start).max())
        for name in ("Adam", "uncorrected Adam")
    }
    return (
        f"Steps until 1 % of the way down the canyon is left: {canyon} (by "
        f"{asked['canyon']} gradients).",
        f"Near the saddle the gradient is almost 0: of Keras's optimisers "
        f"{order[0]} is first down, after {off[order[0]]} steps, and after "
        f"{STEPS} steps {', '.join(stuck) or 'none'} "
        f"{'are' if len(stuck) > 1 else 'is'} still on the way.",
        "Without its bias correction Adam's first step is "
        f"{first['uncorrected Adam'] / first['Adam']:.2f} times as long; and "
        "down the canyon in mini-batches SGD shakes by "
        + ", ".join(f"{shaking(x):.3f} ({n})" for n, x in noisy.items())
        + " across it.",
    )


def _draw(paths, noisy):
    figure = new_figure(7.2)
    grid = figure.subplots(3, 2)
    for (where, surface), (walks, losses) in zip(
        SURFACES.items(), grid[:2], strict=True
    ):
        _draw_surface(walks, where, surface)
        for name in (*OPTIMISERS, LBFGS):
            path = paths[name, where]
            left = np.maximum(surface.left(path), 1e-6)
            line = "--" if name == "uncorrected Adam" else "-"
            walks.plot(*path.T, line, linewidth=1.2)
            losses.semilogy(left, line, linewidth=1.2, label=name)
        losses.set(title="way down that is left", ylim=(1e-4, 2))
    _draw_surface(grid[2][0], "canyon, in mini-batches", CANYON)
    for index, (size, path) in enumerate(noisy.items()):
        grid[2][0].plot(*path.T, color=f"C{index}", linewidth=1)
        label = f"{size} of {EXAMPLES}"
        grid[2][1].plot(path[:, 1], linewidth=1.2, label=label)
    grid[2][1].set(title="across the canyon", xlabel="step")
    grid[2][1].legend(title="batch", loc="upper right")
    figure.legend(
        *grid[0][1].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=4,
        columnspacing=1.0,
    )
    return figure


def _draw_surface(axes, title, surface):
    is_saddle = surface is SADDLE
    width, height = (2.0, 1.6) if is_saddle else (9.0, 2.4)
    x = np.linspace(-width, width, 121)
    y = np.linspace(-height, height, 121)
    heights = surface.loss(np.stack(np.meshgrid(x, y), -1))
    axes.contour(x, y, heights, 14, colors="0.8", linewidths=0.6)
    axes.plot(*surface.start, "ko", markersize=4)
    axes.set(title=title, xlim=(-width, width), ylim=(-height, height))
