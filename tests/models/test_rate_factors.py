import keras
import pytest
from keras import layers

from dropzoo.models import depth_factors, layer_factors


def pyramid():
    """Two convolutions, two levels, a third level and a head."""
    x = keras.Input((16, 16, 3))
    y = layers.Conv2D(2, 3, 2, padding="same", name="a")(x)  # stride 2
    y = layers.Conv2D(2, 3, padding="same", name="b")(y)
    y = layers.Conv2D(2, 3, 2, padding="same", name="c")(y)  # stride 4
    y = layers.ReLU(name="d")(y)
    y = layers.GlobalAveragePooling2D()(y)
    return keras.Model(x, layers.Dense(2, name="logits")(y))


def test_factors_fall_from_the_head_back():
    # Kernel and bias of each: a and b end in b's level, c in d's.
    assert depth_factors(pyramid(), 0.5) == [0.25] * 4 + [0.5] * 2 + [1.0] * 2


def test_frozen_layers_have_no_factor():
    model = pyramid()
    model.get_layer("b").trainable = False
    assert depth_factors(model, 0.5) == [0.25] * 2 + [0.5] * 2 + [1.0] * 2


def test_decay_one_gives_every_layer_the_same_rate():
    assert depth_factors(pyramid(), 1) == [1.0] * 8


@pytest.mark.parametrize("decay", [0, -0.5, 1.1, float("nan")])
def test_a_decay_outside_its_range_is_refused(decay):
    with pytest.raises(ValueError, match=r"`decay` must be in \(0, 1\]"):
        depth_factors(pyramid(), decay)


def test_groups_from_fine_to_coarse_divide_the_layers():
    factors = layer_factors(pyramid(), {"stride_2": 0.1, "stride_4": 0.5})
    assert factors == [0.1] * 4 + [0.5] * 2 + [1.0] * 2


def test_the_first_group_of_a_layer_counts():
    model = pyramid()
    assert layer_factors(model, {"b": 0.2, "[abc]": 0.5}) == (
        [0.2] * 4 + [0.5] * 2 + [1.0] * 2
    )
    chosen = {lambda layer: layer.name == "logits": 3.0, "all": 0.0}
    assert layer_factors(model, chosen) == [0.0] * 6 + [3.0] * 2


def test_groups_reach_into_inner_models():
    x = keras.Input((16, 16, 3))
    inner = pyramid()
    inner.name = "inner"
    model = keras.Model(x, layers.Dense(2, name="top")(inner(x)))
    assert layer_factors(model, {"inner/b": 0.2}) == [0.2] * 4 + [1.0] * 6
    assert layer_factors(model, {"inner": 0.5, "top": 2.0}) == (
        [0.5] * 8 + [2.0] * 2
    )


@pytest.mark.parametrize(
    ("groups", "match"),
    [
        ({"stride_2": 0.5, "a": 0.1}, "Received: 'a', which matches none"),
        ({"d": 0.5, "*d": 0.1}, "which matches none"),
        ({"block*": 0.5}, "name or pattern of a layer"),
    ],
)
def test_a_group_without_a_layer_is_refused(groups, match):
    with pytest.raises(ValueError, match=match):
        layer_factors(pyramid(), groups)


def test_a_group_of_frozen_layers_is_refused():
    model = pyramid()
    model.get_layer("a").trainable = False
    with pytest.raises(ValueError, match="must match a layer that trains"):
        layer_factors(model, {"a": 0.5})
