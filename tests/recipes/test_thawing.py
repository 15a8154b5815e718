import keras
import pytest
from keras import layers

from dropzoo.recipes.thawing import Stage, thawing_stages


@pytest.fixture(scope="module")
def network():
    """Levels stride_2, stride_4 and stride_8."""
    x = keras.Input((16, 16, 3))
    y = x
    for _ in range(3):
        y = layers.Conv2D(2, 3, 2, padding="same")(y)
    y = layers.GlobalAveragePooling2D()(y)
    return keras.Model(x, layers.Dense(2)(y))


def test_levels_are_thawed_from_the_head_back(network):
    assert thawing_stages(network, "none", epochs=8, share=0.75) == [
        Stage(0, 2, "stride_8"),
        Stage(2, 4, "stride_4"),
        Stage(4, 6, "stride_2"),
        Stage(6, 8, "none"),
    ]


def test_what_stays_frozen_is_not_thawed(network):
    assert thawing_stages(network, "stride_4", epochs=8, share=0.5) == [
        Stage(0, 4, "stride_8"),
        Stage(4, 8, "stride_4"),
    ]


@pytest.mark.parametrize("freeze", ["none", "stride_2", "stride_8"])
def test_without_a_share_all_is_thawed_at_once(network, freeze):
    stages = thawing_stages(network, freeze, epochs=5, share=0.0)
    assert stages == [Stage(0, 5, freeze)]


def test_the_coarsest_level_alone_is_one_stage(network):
    stages = thawing_stages(network, "stride_8", epochs=5, share=0.5)
    assert stages == [Stage(0, 5, "stride_8")]


@pytest.mark.parametrize("epochs", range(1, 9))
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_every_epoch_is_in_one_stage(network, epochs, share):
    stages = thawing_stages(network, "none", epochs, share)
    covered = [
        epoch
        for stage in stages
        for epoch in range(stage.first_epoch, stage.end_epoch)
    ]
    assert covered == list(range(epochs))
