"""Ten times as many photos need no more memory."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

CHANNELS = 1280  # as many as a network of the zoo has

CHILD = """
import json
import sys
import threading
import time

import keras
import psutil

from dropzoo.data import Augmentation, concatenate, load, training_batches
from dropzoo.evaluation import extract_features
from dropzoo.evaluation import probe as probe_module
from dropzoo.evaluation.folds import choose_folds

folder, channels = sys.argv[1], int(sys.argv[2])
peak = 0


def watch():
    global peak
    process = psutil.Process()
    while True:
        peak = max(peak, process.memory_info().rss)
        time.sleep(0.01)


threading.Thread(target=watch, daemon=True).start()
data = load(f"folder:{folder}", seed=0)
pool = concatenate([data.train, data.validation])
x = keras.Input((32, 32, 3))
y = keras.layers.Rescaling(1 / 255)(x)
y = keras.layers.Conv2D(channels, 8, 8)(y)
features = keras.layers.GlobalAveragePooling2D()(y)
backbone = keras.Model(x, features)
kept = extract_features(backbone, pool, mirrored=True)

probe_module.INVERSE_STRENGTHS = (0.01,)
folds = choose_folds(data.train.labels, data.validation.labels, seed=0)
probe = probe_module.fit_probe(kept, pool.labels, data.num_classes, folds)

network = keras.Model(x, keras.layers.Dense(data.num_classes)(features))
network.compile(
    "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
network.fit(
    training_batches(
        data.train,
        (32, 32),
        batch_size=32,
        augmentation=Augmentation("light", flips=True),
        seed=0,
        steps=range(len(data.train) // 32),
    ),
    verbose=0,
)
facts = {"photos": len(pool), "feature_bytes": kept.num_bytes, "peak": peak}
print(json.dumps(facts))
"""


def measured(folder, count):
    """Peak resident memory of a process that goes through so many photos."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    run = subprocess.run(
        [sys.executable, "-c", CHILD, folder, str(CHANNELS)],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.slow
def test_twenty_thousand_photos_need_what_two_thousand_need(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("DROPZOO_CACHE", str(tmp_path / "cache"))
    few = measured(tmp_path / "few", 2_000)
    many = measured(tmp_path / "many", 20_000)
    assert few["photos"] == 1_700 and many["photos"] == 17_000
    # Held in memory, the features alone would be 174 MB.
    assert many["feature_bytes"] == 17_000 * 2 * CHANNELS * 4
    assert many["peak"] - few["peak"] < 50 * 2**20
