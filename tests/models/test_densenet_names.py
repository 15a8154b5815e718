"""Names of torchvision's DenseNets, by the layout of the paper."""

import keras
import pytest

from dropzoo.models.densenet_names import densenet_name

BLOCKS = (6, 12, 24, 16)  # of the network of 121 layers


def modules(blocks):
    """Modules with weights, as torchvision names them."""
    yield from ("features.conv0", "features.norm0")
    for block, count in enumerate(blocks, start=1):
        for layer in range(1, count + 1):
            place = f"features.denseblock{block}.denselayer{layer}"
            for part in ("norm1", "conv1", "norm2", "conv2"):
                yield f"{place}.{part}"
        if block < len(blocks):
            yield f"features.transition{block}.norm"
            yield f"features.transition{block}.conv"
    yield from ("features.norm5", "classifier")


@pytest.mark.slow(ci=True)
def test_every_layer_has_its_module():
    model = keras.applications.DenseNet121(
        weights=None, input_shape=(32, 32, 3), include_top=False
    )
    layers = [layer.name for layer in model.layers if layer.weights]
    found = [densenet_name(layer) for layer in [*layers, "logits"]]
    assert found == list(modules(BLOCKS))
