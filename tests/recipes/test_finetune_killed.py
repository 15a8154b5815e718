"""`dropzoo finetune` is killed at 20 moments, and ends as one left alone."""

import json
import os
import random
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

pytestmark = pytest.mark.slow

KILLS, WHILE_WRITING, EPOCHS, STEPS = 20, 5, 24, 4
PHOTOS = {"train": 8 * STEPS, "val": 40, "test": 10}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of patches of a temple and of a flower."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for split, count in PHOTOS.items():
        for number in range(count):
            name = ("temple", "flower")[number % 2]
            photo = load_sample_images().images[number % 2]
            top, left = rng.integers(0, np.array(photo.shape[:2]) - 96)
            path = folder / split / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            patch = photo[top : top + 96, left : left + 96]
            Image.fromarray(patch).save(path)
    return folder


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "dropzoo", "finetune", *map(str, words)],
        env={**os.environ, "TF_DETERMINISTIC_OPS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def checkpoints(folder):
    return {
        path.name
        for path in (folder / ".state").rglob("step-*")
        if not path.name.startswith(".")
    }


def step_of(folder):
    return max((int(x[5:-12]) for x in checkpoints(folder)), default=0)


def kill(run, folder, while_writing, wait):
    """Kills a run in its training; tells whether it was writing."""
    state, before = folder / ".state", checkpoints(folder)
    while run.poll() is None:
        writing = list(state.rglob(".part-*"))
        saved = checkpoints(folder) - before
        if writing if while_writing else saved:
            time.sleep(wait)
            run.kill()
            run.wait()
            return bool(list(state.rglob(".part-*")))
        time.sleep(0.001)
    raise AssertionError(f"the run ended with {run.returncode}, not killed")


def test_a_run_that_is_killed_ends_as_one_left_alone(photos, tmp_path):
    words = ["--data", photos, "--model", "efficientnet_lite0"]
    words += ["--image-size", 64, "--epochs", EPOCHS, "--batch-size", 8]
    words += ["--thaw-share", 0.5]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(*words, "--out", whole).wait() == 0
    draw = random.Random(0)
    order = [True] * WHILE_WRITING + [False] * (KILLS - WHILE_WRITING)
    draw.shuffle(order)
    run = start(*words, "--out", killed)
    trace = []
    for while_writing in order:
        wait = 0.0 if while_writing else draw.uniform(0, 1)
        wrote = kill(run, killed, while_writing, wait)
        trace.append((step_of(killed), wrote))
        run = start("--resume", killed)
    assert run.wait() == 0
    print(trace)
    assert sum(wrote for _, wrote in trace) >= WHILE_WRITING
    steps = [step for step, _ in trace]
    assert steps == sorted(steps) and steps[-1] > EPOCHS * STEPS / 2
    assert_equal(whole, killed)


def assert_equal(left, right):
    for name in ("history.csv", "labels.json"):
        assert (left / name).read_bytes() == (right / name).read_bytes()
    ours, theirs = (
        json.loads((folder / "metrics.json").read_text())
        for folder in (left, right)
    )
    assert ours["test"] == theirs["test"]
    assert ours["verdict"] == theirs["verdict"]
    models = [keras.saving.load_model(x / "model.keras") for x in (left, right)]
    pairs = zip(*(model.get_weights() for model in models), strict=True)
    assert all(x.tobytes() == y.tobytes() for x, y in pairs)
