"""What an ensemble of equal networks costs, in one branch for each or stacked.

    python benchmarks/ensembles.py
    python benchmarks/ensembles.py --members 10 --batch-size 1

`dropzoo.models.ensemble` keeps the members side by side, each with layers of
its own. Networks of one architecture could be run as one instead: the weights
stacked and the network mapped over them (`keras.ops.vectorized_map`), or their
channels side by side in grouped convolutions and dense layers that multiply a
stack of matrices. Each form predicts the same batch in turns with the
branches, in one process, and gives the same probabilities, which is checked.
The table has medians, which no stall of the machine moves, and the ratio to
the branches with its standard error by the bootstrap.
"""

import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tyro
from keras import layers
from rich.console import Console
from rich.table import Table

from dropzoo.models import create_model, ensemble
from dropzoo.models.replay import replay

CONSOLE = Console(width=100)
WARM_UP = 3  # predictions in which something may compile
TOLERANCE = 1e-4  # sums of other order, over twenty layers


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    members: int = 5
    """Networks in the ensemble."""
    batch_size: int = 64
    """Images in a batch."""
    turns: int = 30
    """Predictions of each form."""


def resnet(seed: int) -> keras.Model:
    """A ResNet for images of 32x32 pixels."""
    return create_model("resnet20_cifar", num_classes=10, seed=seed)


def mlp(seed: int) -> keras.Model:
    """Two hidden layers on images of 28x28 pixels."""
    x = keras.Input((784,), name="pixels")
    y = layers.Rescaling(1 / 255)(x)
    y = layers.Dense(512, "relu", name="hidden_1")(y)
    y = layers.Dense(512, "relu", name="hidden_2")(y)
    return keras.Model(x, layers.Dense(10, name="logits")(y), name="mlp")


def tell_apart(model: keras.Model, rng: np.random.Generator) -> None:
    """Gives biases and batch statistics values of the network's own."""
    for variable in model.weights:
        value = keras.ops.convert_to_numpy(variable)
        if variable.name == "moving_variance":
            variable.assign(value * rng.uniform(0.5, 2, value.shape))
        elif variable.name in ("moving_mean", "bias", "beta"):
            variable.assign(value + rng.normal(0, 0.1, value.shape))


class Mapped(keras.Model):
    """One network, mapped over the stacked weights of all."""

    def __init__(self, members: list[keras.Model]):
        super().__init__(name="mapped")
        # Its function alone: its own weights are not this model's.
        self.network = members[0].stateless_call
        self.num_trained = len(members[0].trainable_variables)
        self.stacks = [
            keras.Variable(np.stack(same), trainable=False)
            for same in zip(*map(values_of, members), strict=True)
        ]
        self.built = True

    def call(self, images):
        def classify(values):
            logits, _ = self.network(
                values[: self.num_trained],
                values[self.num_trained :],
                images,
                training=False,
            )
            return keras.ops.softmax(logits)

        stacks = [stack.value for stack in self.stacks]
        answers = keras.ops.vectorized_map(classify, stacks)
        return keras.ops.mean(answers, axis=0)  # over (members, batch, classes)


def values_of(model: keras.Model) -> list[np.ndarray]:
    """The weights of a network as `stateless_call` takes them."""
    variables = model.trainable_variables + model.non_trainable_variables
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


class SideBySide:
    """One network that has the channels of all members side by side."""

    def __init__(self, members: list[keras.Model]):
        self.members = members
        self.layers: list[keras.Layer] = []
        self.is_shared = True  # what the first layer with weights reads

    def build(self) -> keras.Model:
        """The network, with the members' weights."""
        first = self.members[0]
        inputs = keras.Input(first.input_shape[1:])
        y = replay(inputs, first.inputs[0], first.outputs[0], self.make)
        y = keras.ops.reshape(y, (-1, len(self.members), first.output.shape[1]))
        answers = keras.ops.softmax(y)  # (batch, members, classes)
        model = keras.Model(inputs, keras.ops.mean(answers, axis=1))
        for layer in self.layers:
            self.fill(layer)
        return model

    def make(self, layer: Any, read: Any) -> Any:
        """What takes the place of a layer of one member."""
        config, count = layer.get_config(), len(self.members)
        match layer:
            case layers.Conv2D():
                config["filters"] *= count
                config["groups"] = 1 if self.is_shared else count
                return self.keep(layers.Conv2D.from_config(config))
            case layers.Dense() if self.is_shared:
                config["units"] *= count
                return self.keep(layers.Dense.from_config(config))
            case layers.Dense():
                return self.dense(layer)
            case layers.ZeroPadding2D(data_format="channels_first"):
                return self.pad_channels(layer)
            case layers.BatchNormalization():
                return self.keep(type(layer).from_config(config))
        return type(layer).from_config(config)

    def keep(self, layer: keras.Layer) -> keras.Layer:
        """Notes a layer whose weights are to be filled in."""
        self.is_shared = False
        self.layers.append(layer)
        return layer

    def dense(self, layer: layers.Dense) -> Any:
        """A product with each member's matrix."""
        new = layers.EinsumDense(
            "bmi,mio->bmo",
            (len(self.members), layer.units),
            activation=layer.activation,
            bias_axes="mo",
            name=layer.name,
        )
        self.keep(new)

        def call(x):
            x = keras.ops.reshape(
                x, (-1, len(self.members), layer.input.shape[1])
            )
            return keras.ops.reshape(
                new(x), (-1, len(self.members) * layer.units)
            )

        return call

    def pad_channels(self, layer: layers.ZeroPadding2D) -> Any:
        """Zeros behind the channels of each member."""
        missing = layer.padding[1][1]

        def call(x):
            height, width, channels = x.shape[1:]
            own = channels // len(self.members)
            x = keras.ops.reshape(
                x, (-1, height, width, len(self.members), own)
            )
            x = keras.ops.pad(x, [[0, 0]] * 4 + [[0, missing]])
            channels += missing * len(self.members)
            return keras.ops.reshape(x, (-1, height, width, channels))

        return call

    def fill(self, layer: keras.Layer) -> None:
        """Gives a layer the members' weights."""
        is_stack = isinstance(layer, layers.EinsumDense)
        of_members = [
            member.get_layer(layer.name).get_weights()
            for member in self.members
        ]
        layer.set_weights(
            [
                np.stack(same) if is_stack else np.concatenate(same, axis=-1)
                for same in zip(*of_members, strict=True)
            ]
        )


def in_turns(
    forms: dict[str, keras.Model], images: np.ndarray, turns: int
) -> dict[str, np.ndarray]:
    """Seconds of each prediction of each form."""
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for turn in range(WARM_UP + turns):
        for name, model in forms.items():
            start = time.perf_counter()
            model.predict_on_batch(images)
            if turn >= WARM_UP:
                seconds[name].append(time.perf_counter() - start)
    return {name: np.array(times) for name, times in seconds.items()}


def ratio(times: np.ndarray, branches: np.ndarray) -> str:
    """The ratio of medians and its standard error."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(times), size=(1000, len(times)))
    medians = np.median(times[drawn], axis=1)
    ratios = medians / np.median(branches[drawn], axis=1)
    middle = np.median(times) / np.median(branches)
    return f"{middle:.2f} ± {np.std(ratios):.2f}"


def rows(build: Callable[[int], keras.Model], config: Config) -> Iterator[Any]:
    """Form, milliseconds and ratio, of an ensemble of one architecture."""
    rng = np.random.default_rng(0)
    members = [build(seed) for seed in range(config.members)]
    for member in members:
        tell_apart(member, rng)
    forms = {
        "branches": ensemble(members),
        "vectorized_map": Mapped(members),
        "side by side": SideBySide(members).build(),
    }
    shape = (config.batch_size, *members[0].input_shape[1:])
    images = rng.uniform(0, 255, shape).astype("float32")
    expected = forms["branches"].predict_on_batch(images)
    for model in forms.values():
        found = model.predict_on_batch(images)
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    seconds = in_turns(forms, images, config.turns)
    for form, times in seconds.items():
        milliseconds = f"{1000 * np.median(times):.1f}"
        yield form, milliseconds, ratio(times, seconds["branches"])


def main(config: Config) -> None:
    """Prints the table."""
    table = Table("network", "form", "ms", "ratio to branches")
    for name, build in (("resnet20_cifar", resnet), ("MLP", mlp)):
        for row in rows(build, config):
            table.add_row(name, *row)
    CONSOLE.print(
        f"{config.members} members, batch {config.batch_size}, "
        f"{config.turns} turns, {keras.backend.backend()}"
    )
    CONSOLE.print(table)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
