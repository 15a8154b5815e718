"""The inverted residual block, shared by the mobile networks."""

from dataclasses import dataclass
from typing import Any, Literal

from dropzoo.models.techniques import Techniques

LACKS = {
    "pooling": "it has no pooling between convolutions: strides make its maps "
    "smaller"
}


@dataclass(frozen=True)
class MobileStyle:
    """How a family of mobile networks normalises and pads.

    Args:
        momentum: Momentum of the BatchNorm statistics.
        epsilon: Epsilon of BatchNorm.
        padding: `"same"` pads as TensorFlow does, at the end first; `"torch"`
            pads equally on all sides.
        techniques: Activation, drops and seed.
    """

    momentum: float
    epsilon: float
    padding: Literal["same", "torch"]
    techniques: Techniques = Techniques()

    def norm(self, x: Any, name: str) -> Any:
        """Batch normalization named `{name}_bn`.

        Args:
            x: Symbolic tensor `(batch, height, width, channels)`.
            name: What it comes after.
        """
        from keras import layers

        return layers.BatchNormalization(
            momentum=self.momentum, epsilon=self.epsilon, name=f"{name}_bn"
        )(x)

    def norm_relu6(self, x: Any, name: str) -> Any:
        """Batch normalization and a ReLU that ends at 6.

        Args:
            x: Symbolic tensor `(batch, height, width, channels)`.
            name: What they come after.
        """
        x = self.norm(x, name)
        return self.techniques.activate(x, f"{name}_relu", own="relu6")

    def pad(self, x: Any, kernel_size: int, name: str) -> tuple[Any, str]:
        """The padded map, and what is left for the convolution to pad.

        Args:
            x: Symbolic tensor `(batch, height, width, channels)`.
            kernel_size: Side of the convolution's kernel, odd.
            name: What it comes before.
        """
        from keras import layers

        if self.padding == "same":
            return x, "same"
        margin = kernel_size // 2
        return layers.ZeroPadding2D(margin, name=f"{name}_pad")(x), "valid"


@dataclass(frozen=True)
class Block:
    """One inverted residual.

    Args:
        name: What its layers' names begin with.
        kernel_size: Side of the depthwise kernel.
        strides: Of the depthwise convolution.
        expansion: Factor on the channels inside the block.
        filters: Channels that it ends in.
        drop_rate: Probability in [0, 1) of dropping its residual branch.
        drops_blocks: Whether squares of its map may be dropped.
    """

    name: str
    kernel_size: int
    strides: int
    expansion: int
    filters: int
    drop_rate: float = 0.0
    drops_blocks: bool = False


def stem(x: Any, style: MobileStyle) -> Any:
    """The first convolution: half the resolution, 32 filters.

    Args:
        x: Normalised images `(batch, height, width, 3)`, symbolic.
        style: How the family normalises and pads.
    """
    from keras import layers

    x, padding = style.pad(x, 3, "stem")
    x = layers.Conv2D(
        32, 3, 2, padding=padding, use_bias=False, name="stem_conv"
    )(x)
    return style.norm_relu6(x, "stem")


def inverted_residual(x: Any, block: Block, style: MobileStyle) -> Any:
    """Expands, filters each channel, projects; adds the input where it fits.

    Args:
        x: Symbolic tensor `(batch, height, width, channels)`.
        block: Its shape and its rate of being dropped.
        style: How the family normalises and pads.

    Reference: Sandler et al., "MobileNetV2", 2018, figure 4.
    """
    from keras import layers

    name, shortcut = block.name, x  # (batch, height, width, channels)
    if block.expansion != 1:
        x = layers.Conv2D(
            block.expansion * x.shape[-1],
            1,
            use_bias=False,
            name=f"{name}_expand_conv",
        )(x)
        x = style.norm_relu6(x, f"{name}_expand")
    x, padding = style.pad(x, block.kernel_size, name)
    x = layers.DepthwiseConv2D(
        block.kernel_size,
        block.strides,
        padding,
        use_bias=False,
        name=f"{name}_depthwise_conv",
    )(x)
    x = style.norm_relu6(x, f"{name}_depthwise")
    x = layers.Conv2D(
        block.filters, 1, use_bias=False, name=f"{name}_project_conv"
    )(x)
    x = style.norm(x, f"{name}_project")
    if block.drops_blocks:
        x = style.techniques.drop_blocks(x, f"{name}_drop_block")
    if block.strides != 1 or shortcut.shape[-1] != block.filters:
        return x
    x = style.techniques.drop_depth(x, f"{name}_drop", block.drop_rate)
    return layers.Add(name=f"{name}_add")([shortcut, x])


def pooled_features(x: Any, style: MobileStyle) -> Any:
    """The last convolution to 1280 filters, averaged over the map.

    Args:
        x: Symbolic tensor `(batch, height, width, channels)`.
        style: How the family normalises and pads.

    Returns: Symbolic tensor `(batch, 1280)`.
    """
    from keras import layers

    x = layers.Conv2D(1280, 1, use_bias=False, name="head_conv")(x)
    x = style.norm_relu6(x, "head")
    return layers.GlobalAveragePooling2D(name="features")(x)  # (batch, 1280)
