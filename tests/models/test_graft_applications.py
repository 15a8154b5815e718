"""Every network of the catalogue and of Keras can be grafted, exactly.

The numbers of residual additions are those of the papers: blocks whose input
and output have one shape, and those with a projection where a network has them.
NASNet's are one identity in each normal cell.
"""

import gc

import keras
import numpy as np
import pytest

from dropzoo.layers import StochasticResidual
from dropzoo.models import (
    create_model,
    graft,
    graft_report,
    list_models,
    model_info,
    ungraft,
)

# Families of which one stands for all in the ordinary run.
FAMILIES = {
    "ConvNeXtTiny": 18,
    "DenseNet121": 0,
    "EfficientNetB0": 9,
    "EfficientNetV2B0": 15,
    "MobileNetV2": 10,
    "MobileNetV3Small": 6,
    "NASNetMobile": 12,
    "ResNet50": 16,
    "ResNet50V2": 16,
    "Xception": 12,
}
ADDITIONS = {
    **FAMILIES,
    "ConvNeXtBase": 36,
    "ConvNeXtLarge": 36,
    "ConvNeXtSmall": 36,
    "ConvNeXtXLarge": 36,
    "DenseNet169": 0,
    "DenseNet201": 0,
    "EfficientNetB1": 16,
    "EfficientNetB2": 16,
    "EfficientNetB3": 19,
    "EfficientNetB4": 25,
    "EfficientNetB5": 32,
    "EfficientNetB6": 38,
    "EfficientNetB7": 48,
    "EfficientNetV2B1": 21,
    "EfficientNetV2B2": 22,
    "EfficientNetV2B3": 26,
    "EfficientNetV2L": 73,
    "EfficientNetV2M": 51,
    "EfficientNetV2S": 35,
    "InceptionResNetV2": 40,
    "InceptionV3": 0,
    "MobileNet": 0,
    "MobileNetV3Large": 10,
    "NASNetLarge": 18,
    "ResNet101": 33,
    "ResNet101V2": 33,
    "ResNet152": 50,
    "ResNet152V2": 50,
    "VGG16": 0,
    "VGG19": 0,
}
SIDES = {"Xception": 71, "InceptionV3": 75, "InceptionResNetV2": 75}


def build(name):
    side = SIDES.get(name, 32)
    network = getattr(keras.applications, name)
    return network(weights=None, input_shape=(side, side, 3), classes=3)


def photos(model):
    shape = (1, *model.input_shape[1:])
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def assert_exact(model, **options):
    grafted = graft(model, **options, seed=1)
    x = photos(model)
    expected = np.asarray(model(x, training=False))
    np.testing.assert_array_equal(grafted(x, training=False), expected)
    np.testing.assert_array_equal(ungraft(grafted)(x, training=False), expected)
    return grafted


def dropconnect(report):
    """A rate, and where to, in a network whose classifier is a convolution."""
    return 0.1 if report.dense else (0.1, report.kernels[-1])


@pytest.fixture(autouse=True)
def free_memory():
    """Forgets the networks, which are large."""
    yield
    gc.collect()


def test_every_network_of_keras_is_among_them():
    names = {
        name
        for name, value in vars(keras.applications).items()
        if callable(value) and name[0].isupper()
    }
    assert names == set(ADDITIONS)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_of_each_family_has_its_additions(name):
    report = graft_report(build(name))
    assert len(report.residual_additions) == FAMILIES[name]
    assert report.outer_additions == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", ADDITIONS)
def test_networks_of_keras_are_grafted_exactly(name):
    model = build(name)
    report = graft_report(model)
    assert len(report.residual_additions) == ADDITIONS[name]
    everywhere = {
        "dropconnect": dropconnect(report),
        "dropout": 0.2,
        "drop_block": 0.1,
    }
    if not ADDITIONS[name]:
        assert_exact(model, **everywhere)
        return
    masked = assert_exact(model, stochastic_depth=0.2, **everywhere)
    drops = [
        x
        for x in graft_report(masked).grafted
        if x.technique == "stochastic_depth"
    ]
    assert len(drops) == ADDITIONS[name]
    assert report.not_skipped == {}
    skipped = assert_exact(model, stochastic_depth=0.2, skip=True)
    cut = [x for x in skipped.layers if isinstance(x, StochasticResidual)]
    assert len(cut) == ADDITIONS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models())
def test_networks_of_the_catalogue_are_grafted_exactly(name):
    spec = model_info(name)
    side = max(min(spec.input_size, 64), spec.smallest_size)
    model = create_model(
        name, num_classes=3, input_shape=(side, side, spec.channels)
    )
    report = graft_report(model)
    assert_exact(model, dropconnect=dropconnect(report), dropout=0.2)
    if report.residual_additions:
        assert_exact(model, stochastic_depth=0.2)
        assert_exact(model, stochastic_depth=0.2, skip=True)
