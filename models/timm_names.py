"""The names that timm's state dicts have for layers of mobile networks.

timm numbers the blocks within their stage and calls the convolutions of an
inverted residual `conv_pw`, `conv_dw` and `conv_pwl`; the blocks of the first
stage, which do not expand, have `conv_dw` and `conv_pw` alone.

Reference: Wightman, PyTorch Image Models, `timm/models/_efficientnet_blocks.py`
"""

EXPANDING = {
    "expand_conv": "conv_pw",
    "expand_bn": "bn1",
    "depthwise_conv": "conv_dw",
    "depthwise_bn": "bn2",
    "project_conv": "conv_pwl",
    "project_bn": "bn3",
}
SEPARABLE = {
    "depthwise_conv": "conv_dw",
    "depthwise_bn": "bn1",
    "project_conv": "conv_pw",
    "project_bn": "bn2",
}
SQUEEZE = {"se_reduce": "se.conv_reduce", "se_expand": "se.conv_expand"}
# How keras.applications calls what others call by the long name.
SHORT = {"dwconv": "depthwise_conv", "bn": "depthwise_bn"}
ENDS = {
    "stem_conv": "conv_stem",
    "stem_bn": "bn1",
    "head_conv": "conv_head",
    "head_bn": "bn2",
    "top_conv": "conv_head",
    "top_bn": "bn2",
    "logits": "classifier",
}


def timm_name(layer: str) -> str:
    """Name of a layer of our EfficientNet-Lites and our MobileNetV2.

    Args:
        layer: A layer with weights, such as `"stage2_block1_expand_bn"`.

    Example:
        >>> timm_name("stage2_block1_expand_bn")
        'blocks.1.0.bn1'
    """
    if layer in ENDS:
        return ENDS[layer]
    stage, block, part = layer.split("_", 2)
    return _part(int(stage[5:]) - 1, int(block[5:]) - 1, part)


def efficientnet_name(layer: str) -> str:
    """Name of a layer of an EfficientNet of `keras.applications`.

    Args:
        layer: A layer with weights, such as `"block2a_expand_bn"`.

    Example:
        >>> efficientnet_name("block2a_se_reduce")
        'blocks.1.0.se.conv_reduce'
    """
    if layer in ENDS:
        return ENDS[layer]
    block, part = layer.split("_", 1)
    stage, letter = int(block[5]), block[6]
    return _part(stage - 1, ord(letter) - ord("a"), SHORT.get(part, part))


def _part(stage: int, block: int, part: str) -> str:
    names = SEPARABLE if stage == 0 else EXPANDING
    return f"blocks.{stage}.{block}.{(names | SQUEEZE)[part]}"
