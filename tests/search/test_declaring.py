"""What KerasTuner's oracles draw from a space."""

import keras_tuner
import numpy as np
import pytest
import scipy.stats

from dropzoo.models import create_model, list_models, model_info
from dropzoo.search.declaring import (
    NO_BATCH_NORM,
    declare,
    normalises_batches,
    settings,
)
from dropzoo.search.search_space import SearchSpace

BACKBONES = ["efficientnet_lite0", "keras_vgg16", "resnet20_cifar"]


def draws(space: SearchSpace, number: int, *, pretrained=True, side=0):
    """What KerasTuner's random search would try."""
    hp = keras_tuner.HyperParameters()
    declare(space, hp, pretrained=pretrained, side=side)
    oracle = keras_tuner.oracles.RandomSearchOracle(
        "val_loss", max_trials=number, hyperparameters=hp, seed=1
    )
    for trial in range(number):
        yield oracle.populate_space(str(trial))["values"]


@pytest.fixture(scope="module")
def trials() -> list[dict]:
    space = SearchSpace().changed(
        backbone=BACKBONES, freeze=["all", "stride_4", "stride_8", "none"]
    )
    return list(draws(space, 120))


def test_every_backbone_is_drawn(trials):
    assert {trial["backbone"] for trial in trials} == set(BACKBONES)


@pytest.mark.parametrize("name", ["pooling", "stochastic_depth", "dropconnect"])
def test_a_technique_is_drawn_where_there_is_a_place_for_it(trials, name):
    for trial in trials:
        lacks = name in model_info(trial["backbone"]).lacks
        assert (name in trial) != lacks


def test_only_levels_that_a_network_has_are_frozen(trials):
    drawn = {(x["backbone"], x["freeze"]) for x in trials}
    assert ("resnet20_cifar", "stride_4") in drawn
    assert ("resnet20_cifar", "stride_8") not in drawn
    assert ("keras_vgg16", "stride_8") in drawn


def test_statistics_are_drawn_where_normalization_is_thawed(trials):
    for trial in trials:
        thawed = trial["freeze"] != "all"
        normalises = trial["backbone"] != "keras_vgg16"
        assert ("batch_norm" in trial) == (thawed and normalises)


def test_nothing_is_frozen_without_pretrained_weights():
    for trial in draws(SearchSpace(), 5, pretrained=False):
        assert not {"freeze", "batch_norm"} & set(trial)


def test_small_images_have_fewer_levels():
    space = SearchSpace().changed(freeze=["all", "stride_32"])
    levels = {trial["freeze"] for trial in draws(space, 20, side=32)}
    assert levels == {"all"}


def test_a_level_that_no_network_has_is_refused():
    space = SearchSpace().changed(backbone=BACKBONES, freeze="stride_16")
    with pytest.raises(ValueError, match="resnet20_cifar has all, none, str"):
        declare(space, keras_tuner.HyperParameters(), pretrained=True, side=0)


def test_every_factor_of_the_rate_is_as_probable_as_another():
    space = SearchSpace().changed(peak_rate=(1e-5, 1e-1), dropout=(0.1, 0.5))
    trials = list(draws(space, 200))
    exponents = np.log10([trial["peak_rate"] for trial in trials])
    rates = [trial["dropout"] for trial in trials]
    assert scipy.stats.kstest(exponents, "uniform", (-5, 4)).pvalue > 0.01
    assert scipy.stats.kstest(rates, "uniform", (0.1, 0.4)).pvalue > 0.01


def test_what_is_fixed_to_nothing_is_no_parameter():
    assert "image_size" not in next(draws(SearchSpace(), 1))


def test_settings_are_those_that_were_declared():
    space = SearchSpace().changed(dropout=0.25, hidden_units=(8, 16))
    hp = keras_tuner.HyperParameters()
    hp.Fixed("dropout", 0.5)
    drawn = settings(space, hp, pretrained=False, side=0)
    assert drawn["dropout"] == 0.5  # what was there holds
    assert drawn["hidden_units"] == 8
    assert drawn["peak_rate"] == pytest.approx(1e-3)  # the middle in factors
    number = len(hp.space)
    assert settings(space, hp, pretrained=False, side=0) == drawn
    assert len(hp.space) == number


def test_a_value_that_lost_its_effect_is_no_setting():
    space = SearchSpace().changed(freeze=["none", "all"])
    hp = keras_tuner.HyperParameters()
    facts = {"pretrained": True, "side": 0}
    assert "batch_norm" in settings(space, hp, **facts)
    hp.values["freeze"] = "all"
    assert "batch_norm" not in settings(space, hp, **facts)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models())
def test_the_networks_without_normalization_are_known(name):
    side = max(model_info(name).smallest_size, 75)
    channels = model_info(name).channels
    model = create_model(name, input_shape=(side, side, channels))
    kinds = {type(layer).__name__ for layer in model._flatten_layers()}
    assert normalises_batches(name) == ("BatchNormalization" in kinds)


def test_a_pattern_is_there_for_some_network():
    for pattern in NO_BATCH_NORM:
        assert list_models(pattern)
