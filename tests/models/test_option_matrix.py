"""What the matrix of families and options says is what the networks do."""

import functools
from pathlib import Path

import pytest

from dropzoo.models import create_model, model_info
from dropzoo.models.catalogue import CATALOGUE
from dropzoo.models.option_matrix import option_matrix, options, own_options
from dropzoo.models.techniques import TECHNIQUES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "zoo.md"
VALUES = {
    "stochastic_depth": 0.3,
    "dropconnect": 0.3,
    "drop_block": 0.3,
    "activation": "silu",
}
POOLINGS = ("max", "average", "stochastic", "fractional")
# One network of each family, made small.
SMALL = {
    "alexnet": {"units": 8},
    "densenet40": {"depth": 7},
    "densenet_bc40": {"depth": 10},
    "efficientnet_lite0": {"width": 0.1, "depth": 0.3},
    "fmp_cifar": {"filters": 2, "poolings": 3},
    "googlenet": {},
    "lenet5": {},
    "maxout_cifar": {"filters": (2, 2, 2), "units": 3},
    "mobilenet_v2": {},
    "nin_cifar": {},
    "notes_cnn": {},
    "resnet18": {"repeats": (1, 1, 1, 1)},
    "resnet20_cifar": {"depth": 8},
    "squeezenet1_1": {},
    "stochastic_pooling_cnn": {"filters": 2},
    "vgg11": {"units": 8},
    "vgg11_cifar": {},
    "wrn16_8": {"depth": 10, "width": 1},
}
# Those of the ordinary run take each option, and build in no time.
ORDINARY = {"lenet5", "resnet20_cifar"}
CASES = [
    pytest.param(
        name,
        option,
        marks=[pytest.mark.slow(ci=True)] * (name not in ORDINARY),
    )
    for name in SMALL
    for option in TECHNIQUES
    if option not in model_info(name).lacks
]
REFUSED = [
    (name, option) for name in SMALL for option in model_info(name).lacks
]


def create(name, **varied):
    varied = {"num_classes": 2, "seed": 1, **SMALL[name], **varied}
    return create_model(name, **varied)


def described(model):
    """Kinds and settings of the layers, by which variants are told apart."""
    return [(type(x).__name__, str(x.get_config())) for x in model.layers]


@functools.cache
def plainly(name):
    return described(create(name))


@pytest.mark.parametrize(("name", "option"), CASES)
def test_an_option_that_a_network_takes_changes_it(name, option):
    plain = plainly(name)
    if option == "pooling":
        variants = [described(create(name, pooling=x)) for x in POOLINGS]
        assert all(variants.count(x) == 1 for x in variants)
        assert variants.count(plain) <= 1  # its own, where that is one
    elif option == "seed":
        drops = described(create(name, drop_block=0.1, seed=1))
        assert described(create(name, drop_block=0.1, seed=2)) != drops
    else:
        assert described(create(name, **{option: VALUES[option]})) != plain


@pytest.mark.parametrize(("name", "option"), REFUSED)
def test_an_option_that_a_network_lacks_is_refused_with_the_reason(
    name, option
):
    reason = model_info(name).lacks[option]
    value = {"pooling": "max", **VALUES}[option]
    with pytest.raises(ValueError) as error:
        create(name, **{option: value})
    assert str(error.value).endswith(f"no `{option}`, because {reason}.")


def test_the_matrix_says_what_the_networks_take():
    specs = [model_info(name) for name in ("lenet5", "mobilenet_v2")]
    heading, _, lenet, mobilenet, blank, *reasons = option_matrix(
        specs
    ).splitlines()
    assert heading.split(" | ")[1:3] == ["`pooling`", "`stochastic_depth`"]
    assert lenet.startswith("| `lenet5` | yes | no | yes | yes | yes | yes |")
    assert mobilenet.startswith("| `mobilenet_v2` | no | yes | yes |")
    assert mobilenet.endswith("| `dropout` |") and blank == ""
    assert [reason.split(", because")[0] for reason in reasons] == [
        "- No `pooling` in `mobilenet_v2`",
        "- No `stochastic_depth` in `lenet5`",
    ]


def test_options_are_those_that_create_model_takes():
    spec = model_info("vgg11")
    assert own_options(spec) == ["depths", "units", "dropout"]
    assert set(options(spec)) == {
        *own_options(spec),
        *set(TECHNIQUES) - {"stochastic_depth"},
    }


def test_many_networks_of_a_family_are_counted():
    specs = [model_info(f"vgg{depth}") for depth in (11, 13, 16, 19)]
    row = option_matrix(specs).splitlines()[2]
    assert row.startswith("| `vgg11`, ... `vgg19` (4) |")


def test_the_page_has_the_matrix_of_the_catalogue():
    # `python benchmarks/zoo.py --matrix` writes it anew.
    assert option_matrix(CATALOGUE.values()) in PAGE.read_text("utf-8")
