"""What the residual networks for CIFAR share: blocks and their additions."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from dropzoo.models.seeds import layer_seed
from dropzoo.models.techniques import Techniques

LACKS = {
    "pooling": "it has no pooling between convolutions: strides make its maps "
    "smaller"
}


@dataclass(frozen=True)
class Block:
    """One residual block.

    Args:
        name: What its layers' names begin with.
        filters: Channels that it ends in.
        strides: Of its first convolution.
        drop_rate: Probability in [0, 1) of dropping its branch.
        drops_blocks: Whether squares of its map may be dropped.
        skip: Whether a dropped branch is left uncomputed.
    """

    name: str
    filters: int
    strides: int
    drop_rate: float
    drops_blocks: bool
    skip: bool


def residual_blocks(
    filters: Iterable[int], repeats: int, techniques: Techniques, skip: bool
) -> Iterator[Block]:
    """The blocks of three stages, of which the later two halve the map.

    Args:
        filters: Channels of each stage.
        repeats: Blocks in a stage, at least 1.
        techniques: Its `stochastic_depth` is used, with the rates of Huang et
            al.: block `l` of `L` is dropped at a rate of `l / L` times it.
        skip: Whether a dropped branch is left uncomputed.
    """
    rates = iter(techniques.depth_rates(3 * repeats, "paper"))
    for stage, channels in enumerate(filters, start=1):
        for index in range(1, repeats + 1):
            yield Block(
                name=f"stage{stage}_block{index}",
                filters=channels,
                strides=2 if stage > 1 and index == 1 else 1,
                drop_rate=next(rates),
                drops_blocks=stage > 1,
                skip=skip,
            )


def convolve(x: Any, filters: int, strides: int, name: str) -> Any:
    """A 3x3 convolution that sees as far on each side.

    `padding="same"` would shift strided maps by a pixel against a shortcut
    that takes every second one, as it pads them at their end alone.

    Args:
        x: Symbolic tensor `(batch, height, width, channels)`.
        filters: Channels of the output.
        strides: 1 or 2.
        name: Of the layer.
    """
    from keras import layers

    if strides > 1:
        x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return layers.Conv2D(
        filters,
        3,
        strides,
        padding="valid" if strides > 1 else "same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def normalize(x: Any, name: str) -> Any:
    """Batch normalization with the constants of the authors' code.

    Args:
        x: Symbolic tensor `(batch, height, width, channels)`.
        name: Of the layer.
    """
    from keras import layers

    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def add_residual(
    x: Any,
    branch: Callable[[Any], Any],
    shortcut: Callable[[Any], Any] | None,
    block: Block,
    techniques: Techniques,
) -> Any:
    """Adds a branch, dropped at random, to a shortcut.

    A `StochasticDepth` drops it for each sample. With `block.skip` a
    `StochasticResidual` draws one gate for each batch, as the paper does, and
    saves the time of what it drops. At inference both are the plain sum.

    Args:
        x: Symbolic tensor `(batch, height, width, channels)`.
        branch: Builds the layers of the branch on a tensor.
        shortcut: Builds those of the shortcut; `None` is the identity.
        block: Its name, its rate and whether to skip.
        techniques: Its seed is used.

    Reference: Huang et al., "Deep Networks with Stochastic Depth", 2016,
        section 3.
    """
    from keras import layers

    from dropzoo.layers import StochasticResidual

    name = f"{block.name}_add"
    if block.skip:
        return StochasticResidual(
            _part(branch, x, f"{block.name}_branch"),
            _part(shortcut, x, f"{block.name}_shortcut") if shortcut else None,
            rate=block.drop_rate,
            seed=layer_seed(techniques.seed, name),
            name=name,
        )(x)
    dropped = techniques.drop_depth(
        branch(x), f"{block.name}_drop", block.drop_rate
    )
    return layers.Add(name=name)([shortcut(x) if shortcut else x, dropped])


def _part(layers_on: Callable[[Any], Any], x: Any, name: str) -> Any:
    """The layers that a function builds, as a model of their own."""
    import keras

    inputs = keras.Input(x.shape[1:], dtype=x.dtype, name=f"{name}_input")
    return keras.Model(inputs, layers_on(inputs), name=name)
