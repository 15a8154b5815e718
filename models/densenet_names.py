"""The names that torchvision and timm have for the layers of a DenseNet."""

ENDS = {
    "conv1_conv": "features.conv0",
    "conv1_bn": "features.norm0",
    "bn": "features.norm5",
    "logits": "classifier",
}
PARTS = {"0_bn": "norm1", "1_conv": "conv1", "1_bn": "norm2", "2_conv": "conv2"}
TRANSITION_PARTS = {"bn": "norm", "conv": "conv"}


def densenet_name(layer: str) -> str:
    """Name of a layer of a DenseNet of `keras.applications`.

    Keras counts stages from 2, as the first convolution is one.

    Args:
        layer: A layer with weights, such as `"conv2_block1_0_bn"`.

    Example:
        >>> densenet_name("conv2_block1_0_bn")
        'features.denseblock1.denselayer1.norm1'
    """
    if layer in ENDS:
        return ENDS[layer]
    place, *parts = layer.split("_")
    stage = int(place[4:]) - 1
    if len(parts) == 1:
        return f"features.transition{stage}.{TRANSITION_PARTS[parts[0]]}"
    block, *part = parts
    number = block.removeprefix("block")
    return (
        f"features.denseblock{stage}.denselayer{number}."
        + (PARTS["_".join(part)])
    )
