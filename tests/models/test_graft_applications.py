"""Every network of the catalogue and of Keras can be grafted, exactly.

The numbers of residual additions are those of the papers: blocks whose input
and output have one shape, and those with a projection where a network has them.
NASNet's are one identity in each normal cell. In the ordinary run and in
.ci/run each family is there once, with few blocks.
"""

import functools
import gc
import sys

import keras
import numpy as np
import pytest

from dropzoo.models import (
    create_model,
    graft,
    graft_report,
    list_models,
    model_info,
    ungraft,
)

ADDITIONS = {
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
    return create_with(getattr(keras.applications, name), SIDES.get(name, 32))


def create_with(network, side=32, **options):
    return disturb(
        network(
            weights=None,
            input_shape=(side, side, 3),
            classes=3,
            classifier_activation=None,
            **options,
        )
    )


def family(name):
    """The module of a network, where that of its family is, too."""
    return sys.modules[getattr(keras.applications, name).__module__]


def convnext():
    """Every block has an addition."""
    return create_with(
        family("ConvNeXtTiny").ConvNeXt,
        depths=(1, 1, 2, 1),
        projection_dims=(8, 16, 24, 32),
    )


def densenet():
    return create_with(family("DenseNet121").DenseNet, blocks=(2, 2, 2, 2))


def efficientnet(member, function, **options):
    """Stages of 0.4 times as many blocks, the first of each without one."""
    return create_with(
        getattr(family(member), function),
        width_coefficient=1,
        depth_coefficient=0.4,
        default_size=32,
        **options,
    )


def efficientnet_v1():
    return efficientnet("EfficientNetB0", "EfficientNet")


def efficientnet_v2():
    return efficientnet(
        "EfficientNetV2B0", "EfficientNetV2", name="efficientnetv2-b0"
    )


def nasnet():
    """Three normal cells."""
    return create_with(
        family("NASNetMobile").NASNet,
        penultimate_filters=96,
        num_blocks=1,
        stem_block_filters=8,
        skip_reduction=False,
    )


def resnet(version):
    """Two stages of two blocks, each with an addition."""
    stack = getattr(family("ResNet50"), f"stack_residual_blocks_v{version}")

    def stages(x):
        x = stack(x, 8, 2, 1, name="conv2")
        return stack(x, 16, 2, name="conv3")

    return create_with(
        family("ResNet50").ResNet,
        stack_fn=stages,
        preact=version == 2,
        use_bias=True,
    )


def in_ci(*values):
    """A family that others stand for in the ordinary run."""
    return pytest.param(*values, marks=pytest.mark.slow(ci=True))


# One network of each family, with as few blocks as it can have.
FAMILIES = [
    (convnext, 5),
    in_ci(densenet, 0),
    in_ci(efficientnet_v1, 3),
    in_ci(efficientnet_v2, 5),
    in_ci(functools.partial(build, "MobileNetV2"), 10),
    in_ci(functools.partial(build, "MobileNetV3Small"), 6),
    in_ci(nasnet, 3),
    in_ci(functools.partial(resnet, 1), 4),
    (functools.partial(resnet, 2), 4),
    in_ci(functools.partial(build, "Xception"), 12),
]


def disturb(model):
    """Gives every channel its own scale, bias and statistics.

    Scales are smaller where there are many blocks: at first each block doubles
    the variance, and 600 of them leave the range of floats.
    """
    rng = np.random.default_rng(0)
    blocks = len(graft_report(model).residual_additions)
    gain = min(1, 20 / max(blocks, 1))
    for layer in model._flatten_layers(include_self=False):
        if not isinstance(layer, keras.layers.Normalization):
            for variable in layer.weights:
                if len(variable.shape) == 1:
                    value = variable + rng.uniform(0.5, 1.5, variable.shape)
                    is_scale = variable.name == "gamma"
                    variable.assign(gain * value if is_scale else value)
    return model


def photos(model):
    shape = (1, *model.input_shape[1:])
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def assert_exact(model, **options):
    grafted = graft(model, **options, seed=1)
    x = photos(model)
    expected = np.asarray(model(x, training=False))
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(grafted(x, training=False), expected)
    return grafted


def assert_comes_off(model, grafted):
    x = photos(model)
    np.testing.assert_array_equal(
        ungraft(grafted)(x, training=False), model(x, training=False)
    )


def everything(report):
    """All techniques that there is a place for, with their rates."""
    where = () if report.dense else (report.kernels[-1],)
    options = {
        "dropconnect": (0.1, *where) if where else 0.1,
        "dropout": 0.2,
        "drop_block": 0.1,
    }
    if report.residual_additions:
        options["stochastic_depth"] = 0.2
    return options


def depth_drops(model):
    """Names of the additions before which branches are dropped."""
    return tuple(
        x.place
        for x in graft_report(model).grafted
        if x.technique == "stochastic_depth"
    )


@pytest.fixture(autouse=True)
def free_memory(request):
    """Forgets large networks; after each small one it would take a second."""
    yield
    if request.node.get_closest_marker("slow"):
        gc.collect()


def test_every_network_of_keras_is_among_them():
    names = {
        name
        for name, value in vars(keras.applications).items()
        if callable(value) and name[0].isupper()
    }
    assert names == set(ADDITIONS)


@pytest.mark.parametrize(("create_one", "additions"), FAMILIES)
def test_a_network_of_each_family_is_grafted_exactly(create_one, additions):
    model = create_one()
    report = graft_report(model)
    assert len(report.residual_additions) == additions
    assert report.outer_additions == ()
    assert report.not_skipped == {}
    grafted = assert_exact(model, **everything(report))
    assert depth_drops(grafted) == report.residual_additions


@pytest.mark.slow
@pytest.mark.parametrize("name", ADDITIONS)
def test_networks_of_keras_are_grafted_exactly(name):
    model = build(name)
    report = graft_report(model)
    assert len(report.residual_additions) == ADDITIONS[name]
    assert report.not_skipped == {}
    masked = assert_exact(model, **everything(report))
    assert depth_drops(masked) == report.residual_additions
    assert_comes_off(model, masked)
    if ADDITIONS[name]:
        skipped = assert_exact(model, stochastic_depth=0.2, skip=True)
        assert depth_drops(skipped) == report.residual_additions
        assert_comes_off(model, skipped)


# Blocks that keep the shape, and those of the first with a projection.
OURS = {
    "densenet_bc40": 0,
    "efficientnet_lite0": 9,
    "mobilenet_v2": 10,
    "resnet20_cifar": 9,
    "vgg11_cifar": 0,
    "wrn16_8": 6,
}


def create(name):
    spec = model_info(name)
    side = max(min(spec.input_size, 64), spec.smallest_size)
    return disturb(
        create_model(
            name, num_classes=3, input_shape=(side, side, spec.channels)
        )
    )


@pytest.mark.parametrize(
    "name",
    [
        "resnet20_cifar",
        *(
            pytest.param(name, marks=pytest.mark.slow(ci=True))
            for name in sorted(OURS.keys() - {"resnet20_cifar"})
        ),
    ],
)
def test_networks_of_ours_have_their_additions(name):
    report = graft_report(create(name))
    assert len(report.residual_additions) == OURS[name]


@pytest.fixture
def deep_stack():
    """Keras reads graphs by recursion; ResNet-1202 has more than 1000 calls."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models())
@pytest.mark.usefixtures("deep_stack")
def test_networks_of_the_catalogue_are_grafted_exactly(name):
    model = create(name)
    report = graft_report(model)
    assert_comes_off(model, assert_exact(model, **everything(report)))
    if report.residual_additions:
        assert report.not_skipped == {}
        assert_exact(model, stochastic_depth=0.2, skip=True)
