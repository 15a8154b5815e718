"""What every network of the catalogue can be varied by.

A builder takes one `Techniques` and asks it for pooling, activation, dense
layers and drops, so that a technique is written once and not in every family.
"""

import dataclasses
from numbers import Real
from typing import Any, Literal, get_args

from dropzoo.models.seeds import layer_seed

Pooling = Literal["max", "average", "stochastic", "fractional"]
RATES = ("stochastic_depth", "dropconnect", "drop_block")


def check_rate(option: str, rate: Any) -> None:
    """Refuses what is no rate of dropping.

    Args:
        option: The option of `create_model` that it was given for.
        rate: What was given.

    Raises:
        TypeError: It is no number.
        ValueError: It is not in [0, 1).
    """
    if not isinstance(rate, Real):
        raise TypeError(
            f"create_model: `{option}` must be a number in [0, 1). "
            f"Received: {option}={rate!r}"
        )
    if not 0 <= float(rate) < 1:
        raise ValueError(
            f"create_model: `{option}` must be in [0, 1). "
            f"Received: {option}={rate!r}"
        )


@dataclasses.dataclass(frozen=True)
class Techniques:
    """Options that `create_model` takes for every network.

    The defaults build the network of its paper.

    Args:
        pooling: What takes the place of every pooling between convolutions;
            `None` keeps the network's own. `"fractional"` shrinks by sqrt(2)
            where the network halves, so that later maps are larger, and
            leaves a pooling that does not shrink as it is.
        stochastic_depth: Rate in [0, 1) of dropping the deepest residual
            branch; the rates before it grow up to it linearly.
        dropconnect: Rate in [0, 1) of dropping each weight of the hidden
            dense layers, or of the classifier where there are none.
        drop_block: Rate in [0, 1) of dropping blocks of the coarser maps.
        activation: Name of a Keras activation instead of the network's own.
        seed: Integer from which every random layer gets its own.

    Raises: ValueError when a rate or `pooling` breaks its rule.
    """

    pooling: Pooling | None = None
    stochastic_depth: float = 0.0
    dropconnect: float = 0.0
    drop_block: float = 0.0
    activation: str | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in RATES:
            check_rate(name, getattr(self, name))
        if self.pooling not in (None, *get_args(Pooling)):
            raise ValueError(
                "create_model: `pooling` must be None or one of "
                f"{', '.join(map(repr, get_args(Pooling)))}. "
                f"Received: pooling={self.pooling!r}"
            )

    def pool(
        self,
        x: Any,
        name: str,
        *,
        own: Pooling = "max",
        size: int = 2,
        strides: int | None = None,
        padding: str = "valid",
        output_size: tuple[int, int] | None = None,
    ) -> Any:
        """Pools a map.

        Args:
            x: Symbolic tensor `(batch, height, width, channels)`.
            name: Of the layer.
            own: The pooling of the network's paper.
            size: Side of the window.
            strides: `None` for `size`.
            padding: `"valid"` or `"same"`.
            output_size: Height and width of what fractional pooling gives;
                `None` shrinks by sqrt(2). The others take no notice of it.
        """
        from keras import layers

        from dropzoo.layers import FractionalMaxPooling2D, StochasticPooling2D

        kind = self.pooling or own
        if kind == "fractional" and strides == 1:
            kind = own
        window: Any = {"strides": strides, "padding": padding, "name": name}
        if kind == "max":
            return layers.MaxPooling2D(size, **window)(x)
        if kind == "average":
            return layers.AveragePooling2D(size, **window)(x)
        seed = layer_seed(self.seed, name)
        if kind == "stochastic":
            return StochasticPooling2D(size, **window, seed=seed)(x)
        return FractionalMaxPooling2D(
            output_size=output_size, seed=seed, name=name
        )(x)

    def activate(self, x: Any, name: str, own: str = "relu") -> Any:
        """Applies the activation.

        Args:
            x: Symbolic tensor of any shape.
            name: Of the layer.
            own: The activation of the network's paper.

        Raises: ValueError when Keras has no activation of that name.
        """
        from keras import layers

        try:
            layer = layers.Activation(self.activation or own, name=name)
        except ValueError:
            raise ValueError(
                "create_model: `activation` must be None or the name of a "
                "Keras activation, such as 'gelu'. "
                f"Received: activation={self.activation!r}"
            ) from None
        return layer(x)

    def dense(self, x: Any, units: int, name: str, **options: Any) -> Any:
        """A dense layer, of whose weights some may be dropped.

        Args:
            x: Symbolic tensor `(batch, channels)`.
            units: Number of outputs.
            name: Of the layer.
            **options: Further arguments of `keras.layers.Dense`.
        """
        from keras import layers

        from dropzoo.layers import DropConnectDense

        if not self.dropconnect:
            return layers.Dense(units, name=name, **options)(x)
        return DropConnectDense(
            units,
            rate=self.dropconnect,
            seed=layer_seed(self.seed, name),
            name=name,
            **options,
        )(x)

    def dropout(
        self, x: Any, name: str, rate: float, *, whole_maps: bool = False
    ) -> Any:
        """Dropout; nothing at a rate of 0.

        Args:
            x: Symbolic tensor of any shape.
            name: Of the layer.
            rate: In [0, 1).
            whole_maps: Whether the positions of a map `(batch, height, width,
                channels)` are dropped together, channel by channel.

        Raises: ValueError when `rate` is outside its range.
        """
        from keras import layers

        check_rate("dropout", rate)
        if not rate:
            return x
        kind = layers.SpatialDropout2D if whole_maps else layers.Dropout
        return kind(rate, seed=layer_seed(self.seed, name), name=name)(x)

    def drop_depth(self, branch: Any, name: str, rate: float) -> Any:
        """Drops a residual branch at random; nothing at a rate of 0.

        Args:
            branch: Symbolic tensor, the branch before the addition.
            name: Of the layer.
            rate: In [0, 1), of this block; see `depth_rates`.
        """
        from dropzoo.layers import StochasticDepth

        if not rate:
            return branch
        seed = layer_seed(self.seed, name)
        return StochasticDepth(rate, seed=seed, name=name)(branch)

    def depth_rates(self, num_blocks: int, rule: Any) -> tuple[float, ...]:
        """The rate of each residual block, the first block first.

        Args:
            num_blocks: Number of blocks.
            rule: One of the rules of `dropzoo.layers.linear_decay`.
        """
        from dropzoo.layers import linear_decay

        return linear_decay(self.stochastic_depth, num_blocks, rule=rule)

    def drop_blocks(self, x: Any, name: str, size: int = 7) -> Any:
        """Drops square blocks of a map; nothing at a rate of 0.

        Args:
            x: Symbolic tensor `(batch, height, width, channels)`.
            name: Of the layer.
            size: Side of a block in positions.
        """
        from dropzoo.layers import DropBlock2D

        if not self.drop_block:
            return x
        return DropBlock2D(
            self.drop_block,
            block_size=size,
            seed=layer_seed(self.seed, name),
            name=name,
        )(x)


TECHNIQUES = tuple(field.name for field in dataclasses.fields(Techniques))
