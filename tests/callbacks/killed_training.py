"""A training on photos that kills itself, for `test_killed_training.py`.

    python killed_training.py simply|eagerly|compiled

Simply means on pixels in memory; else a pipeline reads and changes photos.
Reads a line of JSON for each life from standard input: the folder of the
training and the moment of death, or `null`. Each life is a process forked from
this one, which has imported everything and computed nothing. Prints how each
ended. The folder's `trace` tells what was under way.
"""

import contextlib
import functools
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_sample_images

import dropzoo
from dropzoo.callbacks import (
    ExactResume,
    ExponentialMovingAverage,
    SnapshotEnsemble,
    checkpoint_files,
)
from dropzoo.data import Examples, training_batches
from dropzoo.layers import StochasticDepth
from dropzoo.models import LayerwiseAdamW, depth_factors, freeze
from dropzoo.models.recompiling import carry_over
from dropzoo.recipes.thawing import thawing_stages
from dropzoo.schedules import SnapshotCosine

COUNT, BATCH, EPOCHS = 40, 8, 6
STEPS = COUNT // BATCH
SIDE = 16
PHOTOS = load_sample_images().images  # read once for all lives


def crops_of_two_photos():
    """Patches of a temple and of a flower, labelled so."""
    rng = np.random.default_rng(0)
    images = []
    for number in range(COUNT):
        photo = PHOTOS[number % 2]
        top, left = rng.integers(0, np.array(photo.shape[:2]) - 64)
        images.append(photo[top : top + 64 : 3, left : left + 64 : 3])
    return Examples(
        labels=np.arange(COUNT, dtype=np.int32) % 2,
        names=["photo"] * COUNT,
        digests=["0"] * COUNT,
        reader=images.__getitem__,
    )


def batches_in_memory(examples, step):
    """From that step on, each epoch in an order of its own."""
    orders = [
        np.random.default_rng(i).permutation(COUNT) for i in range(EPOCHS)
    ]
    order = np.concatenate(orders)[step * BATCH :]
    pixels = np.stack([examples.reader(i)[:SIDE, :SIDE] for i in order])
    labels = examples.labels[order]
    return tf.data.Dataset.from_tensor_slices((pixels, labels)).batch(BATCH)


def new_network():
    x = keras.Input((SIDE, SIDE, 3))
    y = layers.Rescaling(1 / 255)(x)
    y = layers.Conv2D(4, 3, 2, padding="same")(y)
    y = layers.BatchNormalization()(y)
    y = layers.ReLU()(y)
    y = layers.Conv2D(4, 3, 2, padding="same")(y)
    branch = layers.Conv2D(4, 3, padding="same", activation="relu")(y)
    y = layers.Add()([y, StochasticDepth(0.5)(branch)])
    y = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(y))
    return keras.Model(x, layers.Dense(2)(y))


class Death(keras.callbacks.Callback):
    """Traces each step, and kills the process at one."""

    def __init__(self, trace, moment):
        super().__init__()
        self.trace, self.moment, self.step = trace, moment, 0

    def get_state(self):
        return {"step": self.step}

    def set_state(self, state):
        self.step = state["step"]

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        self.trace(f"step {self.step}")
        match self.moment:
            case ["step", step] if step == self.step:
                self.kill()
            case ["seconds after", step, seconds] if step == self.step:
                threading.Timer(seconds, self.kill).start()
            case ["seconds after", step, _] if step < self.step:
                time.sleep(60)  # dies here at the latest

    def kill(self):
        self.trace("killed")
        os.kill(os.getpid(), signal.SIGKILL)


def die_while_writing(trace, moment):
    """Traces how a checkpoint is written, and kills the process there."""
    save_file, atomic_write = (
        checkpoint_files.save_file,
        checkpoint_files.atomic_write,
    )

    def reach(stage, path):
        name = path.name.split("-")[-1].split(".")[0]
        name = name if name == "end" else int(name)
        trace(f"checkpoint {name} {stage}")
        if moment == ["write", name, stage]:
            trace("killed")
            os.kill(os.getpid(), signal.SIGKILL)

    def traced_save(arrays, part, metadata):
        reach("begun", part)
        save_file(arrays, part, metadata=metadata)
        content = part.read_bytes()
        part.write_bytes(content[: len(content) // 2])
        reach("half written", part)
        part.write_bytes(content)
        reach("written", part)

    @contextlib.contextmanager
    def traced_write(path):
        with atomic_write(path) as part:
            yield part
        reach("named", path)

    checkpoint_files.save_file = traced_save
    checkpoint_files.atomic_write = traced_write


def train(folder, moment):
    """Goes on with the training in a folder, and keeps what it ends with."""
    file = os.open(folder / "trace", os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def trace(what):
        os.write(file, f"{what}\n".encode())

    trace("life")
    dropzoo.set_deterministic(1)
    die_while_writing(trace, moment)
    examples, network = crops_of_two_photos(), new_network()
    death = Death(trace, moment)
    snapshots = SnapshotEnsemble(folder / "snapshots", keep=2)
    average = ExponentialMovingAverage(0.9, apply="never")
    optimizer, history = None, []

    @functools.cache  # in the middle of an epoch it is asked for twice
    def batches(step):
        if sys.argv[1] == "simply":
            return batches_in_memory(examples, step)
        return training_batches(
            examples,
            (SIDE, SIDE),
            batch_size=BATCH,
            augmentation=tf.image.stateless_random_flip_left_right,
            seed=5,
            steps=range(step, EPOCHS * STEPS),
        )

    for stage in thawing_stages(network, "none", EPOCHS, share=0.4):
        network.compiled = False
        freeze(network, stage.freeze)
        network.compile(
            LayerwiseAdamW(
                depth_factors(network, 0.5),
                SnapshotCosine(0.02, EPOCHS * STEPS, num_cycles=3),
            ),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            run_eagerly=sys.argv[1] != "compiled",
        )
        if optimizer is not None:
            network.optimizer.build(network.trainable_variables)
            carry_over(optimizer, network.optimizer)
        optimizer = network.optimizer
        history += ExactResume(folder / stage.freeze, save_freq=2).fit(
            network,
            batches,
            initial_epoch=stage.first_epoch,
            epochs=stage.end_epoch,
            steps_per_epoch=STEPS,
            callbacks=[death, average, snapshots],
            verbose=0,
        )
    averaged = average.averaged_model()
    ensemble = snapshots.ensemble()
    np.savez(
        folder / "end.npz",
        history=json.dumps(history),
        snapshots=json.dumps(snapshots.snapshots),
        **{f"weight {i}": x for i, x in enumerate(network.variables)},
        **{f"slot {i}": x for i, x in enumerate(optimizer.variables)},
        **{f"average {i}": x for i, x in enumerate(averaged.weights)},
        **{f"ensemble {i}": x for i, x in enumerate(ensemble.weights)},
    )


def main():
    for line in sys.stdin:
        folder, moment = json.loads(line)
        child = os.fork()
        if child == 0:
            train(Path(folder), moment)
            sys.stdout.flush()
            os._exit(0)
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    main()
