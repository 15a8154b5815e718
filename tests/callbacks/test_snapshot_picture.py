"""The picture of the rate with its snapshots."""

import numpy as np
from PIL import Image

from dropzoo.callbacks.snapshot_picture import draw_snapshots
from dropzoo.schedules import SnapshotCosine


def test_each_snapshot_has_a_mark_at_its_epoch(tmp_path):
    schedule = SnapshotCosine(0.1, decay_steps=40, num_cycles=2)
    rates = np.array([float(schedule(step)) for step in range(40)])
    draw_snapshots(tmp_path / "none.png", rates, 8, [], [])
    draw_snapshots(tmp_path / "two.png", rates, 8, [4, 8], [0.1, 0.05])
    places = []
    for name in ("none", "two"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            pixels = np.asarray(picture.convert("RGB"), "int32")
        orange = abs(pixels - (255, 127, 14)).sum(axis=2) < 60
        lower = orange[len(orange) // 2 :]  # the legend is above
        places.append(np.flatnonzero(lower.any(axis=0)))
    assert len(places[0]) == 0
    groups = np.split(places[1], np.flatnonzero(np.diff(places[1]) > 1) + 1)
    middles = [group.mean() for group in groups]
    assert len(middles) == 2
    # The second at the right edge of the axes, the first half way to it.
    width = pixels.shape[1]
    assert middles[1] > 0.9 * width
    assert 0.4 * width < middles[0] < 0.65 * width
