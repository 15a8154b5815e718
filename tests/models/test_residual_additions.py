"""What is a residual addition, and what only looks like one."""

import keras
import pytest
from keras import layers

from dropzoo.layers import StochasticDepth, StochasticResidual
from dropzoo.models.residual_additions import find_residual_additions


def dense(x, name=None):
    return layers.Dense(4, name=name)(x)


def found(inputs, outputs):
    return find_residual_additions(keras.Model(inputs, outputs))


def names(inputs, outputs):
    return [addition.name for addition in found(inputs, outputs)]


@pytest.fixture
def x():
    return keras.Input((4,))


def test_an_identity_and_a_branch_make_one(x):
    y = dense(x, "branch")
    (addition,) = found(x, layers.Add(name="add")([x, y]))
    assert addition.name == "add"
    assert addition.fork is x and addition.shortcut is x
    (branch,) = addition.branches
    assert branch.end is y
    assert [call.operation.name for call in branch.calls] == ["branch"]


@pytest.mark.parametrize("first", [True, False])
def test_the_order_of_the_addends_does_not_matter(x, first):
    y = dense(x)
    ends = [x, y] if first else [y, x]
    (addition,) = found(x, layers.Add()(ends))
    assert addition.shortcut is x and addition.branches[0].end is y


@pytest.mark.parametrize(
    "add",
    [
        lambda x, y: x + y,
        keras.ops.add,
        lambda x, y: layers.add([x, y]),
    ],
)
def test_operations_add_as_layers_do(x, add):
    assert len(found(x, add(x, dense(x)))) == 1


def test_a_lighter_projection_is_the_shortcut(x):
    shortcut = dense(x, "projection")
    branch = dense(layers.ReLU()(dense(x)))
    (addition,) = found(x, layers.Add()([branch, shortcut]))
    assert addition.shortcut is shortcut
    assert addition.branches[0].end is branch


def test_pooling_makes_a_shortcut_no_heavier():
    x = keras.Input((8, 8, 4))
    shortcut = layers.MaxPooling2D(1, 2)(x)
    branch = layers.Conv2D(4, 3, 2, padding="same")(x)
    (addition,) = found(x, layers.Add()([shortcut, branch]))
    assert addition.shortcut is shortcut


def test_a_fork_is_where_both_ways_part_for_the_last_time(x):
    normal = layers.BatchNormalization()(dense(x))
    total = layers.Add()([dense(normal), dense(dense(normal))])
    (addition,) = found(x, total)
    assert addition.fork is normal


def test_a_sum_of_three_has_two_branches(x):
    one, two = dense(x), dense(dense(x))
    (addition,) = found(x, layers.Add()([one, x, two]))
    assert addition.shortcut is x
    assert [branch.end for branch in addition.branches] == [one, two]


def test_branches_added_one_after_the_other_are_two(x):
    first = layers.Add(name="first")([x, dense(x)])
    total = layers.Add(name="second")([first, dense(x)])
    one, two = found(x, total)
    assert (one.name, two.name) == ("first", "second")
    assert two.shortcut is first and two.fork is x


def test_a_hard_swish_is_none(x):
    swish = x * layers.ReLU(6.0)(dense(x) + 3.0) * (1 / 6)
    assert names(x, swish) == []


def test_a_constant_table_is_none(x):
    table = keras.ops.ones((1, 4))
    assert names(x, layers.Add()([dense(x), dense(x) + table])) == []


class PositionTable(layers.Layer):
    """A learned table of the shape of its input."""

    def build(self, input_shape):
        self.table = self.add_weight(shape=input_shape[1:])

    def call(self, inputs):
        return keras.ops.zeros_like(inputs) + self.table


def test_a_table_of_positions_is_none():
    x = keras.Input((6, 4))
    assert names(x, x + PositionTable()(x)) == []


def test_a_bias_of_another_shape_is_none():
    x = keras.Input((6, 4))
    bias = layers.Dense(4)(layers.GlobalAveragePooling1D(keepdims=True)(x))
    assert names(x, x + bias) == []


def test_two_equal_ways_are_none(x):
    assert names(x, layers.Add()([dense(x), dense(x)])) == []


def test_two_ways_without_weights_are_none(x):
    assert names(x, layers.Add()([x, layers.ReLU()(x)])) == []


def test_twice_the_same_is_none(x):
    y = dense(x)
    assert names(x, y + y) == []


def test_concatenation_and_multiplication_are_none(x):
    joined = layers.Concatenate()([x, dense(x)])
    gated = layers.Multiply()([x, dense(x)])
    assert names(x, [joined, gated]) == []


def test_inputs_that_never_met_make_none(x):
    other = keras.Input((4,))
    assert names([x, other], layers.Add()([x, dense(other)])) == []


def test_a_branch_that_is_read_elsewhere_is_none(x):
    inside = dense(x)
    total = layers.Add()([x, dense(inside)])
    assert names(x, [total, dense(inside)]) == []


def test_a_branch_that_is_an_output_is_none(x):
    inside = dense(x)
    assert names(x, [layers.Add()([x, dense(inside)]), inside]) == []


def test_a_projection_that_is_read_elsewhere_is_no_shortcut(x):
    """As in cells of NASNet, where one projection meets several layers."""
    projection = dense(x)
    branches = [dense(dense(x)) for _ in range(2)]
    totals = [layers.Add()([projection, branch]) for branch in branches]
    assert names(x, totals) == []
    assert len(names(x, totals[0])) == 1
    assert names(x, [totals[0], projection]) == []


def test_what_other_models_read_does_not_count(x):
    inside = dense(x)
    model = keras.Model(x, layers.Add()([x, dense(inside)]))
    keras.Model(x, dense(inside))  # shares layers with it
    assert len(find_residual_additions(model)) == 1


def test_an_addition_around_others_knows_them(x):
    inner = layers.Add(name="inner")([x, dense(x)])
    outer = layers.Add(name="outer")([x, dense(inner)])
    one, two = found(x, outer)
    assert (one.name, one.inner) == ("inner", ())
    assert (two.name, two.inner) == ("outer", (one,))


def residual_model(name):
    x = keras.Input((4,), name=f"{name}_in")
    y = dense(x, f"{name}_dense")
    return keras.Model(x, layers.Add(name=f"{name}_add")([x, y]), name=name)


def test_inner_models_are_searched_once_and_in_order(x):
    shared = residual_model("shared")
    y = layers.Add(name="before")([x, dense(x)])
    y = shared(shared(y))
    y = layers.Add(name="after")([y, dense(y)])
    assert names(x, y) == ["before", "shared_add", "after"]


def test_a_model_can_be_a_branch(x):
    total = layers.Add(name="outer")([x, residual_model("branch")(x)])
    one, two = found(x, total)
    assert (one.name, two.name) == ("branch_add", "outer")
    assert two.inner == (one,)


def test_sequential_models_are_searched(x):
    model = keras.Sequential([keras.Input((4,)), residual_model("part")])
    (addition,) = find_residual_additions(model)
    assert addition.name == "part_add"


def test_a_stochastic_residual_is_one_already(x):
    block = StochasticResidual(layers.Dense(4), rate=0.5, name="block")
    (addition,) = found(x, block(x))
    assert addition.name == "block" and addition.is_skipping
    assert addition.branches == ()


class DropPath(layers.Layer):
    """As other packages name it."""

    def __init__(self, drop_prob, **kwargs):
        super().__init__(**kwargs)
        self.drop_prob = drop_prob

    def call(self, inputs):
        return inputs

    def get_config(self):
        return {**super().get_config(), "drop_prob": self.drop_prob}


@pytest.mark.parametrize(
    "drop",
    [
        layers.Dropout(0.1, noise_shape=(None, 1)),
        StochasticDepth(0.1),
        DropPath(0.1),
    ],
)
def test_a_drop_of_the_whole_branch_is_known(x, drop):
    y = layers.Activation("linear")(drop(dense(x)))
    (addition,) = found(x, layers.Add()([x, y]))
    assert addition.branches[0].drops == (drop,)


@pytest.mark.parametrize(
    "other",
    [layers.Dropout(0.1), layers.Dropout(0.1, noise_shape=(None, 4))],
)
def test_a_dropout_of_features_is_no_drop_of_the_branch(x, other):
    (addition,) = found(x, layers.Add()([x, other(dense(x))]))
    assert addition.branches[0].drops == ()


def test_the_drop_of_an_inner_branch_is_not_that_of_the_outer(x):
    drop = StochasticDepth(0.1)
    inner = layers.Add(name="inner")([x, drop(dense(x))])
    outer = layers.Add(name="outer")([x, dense(inner)])
    one, two = found(x, outer)
    assert one.branches[0].drops == (drop,)
    assert two.branches[0].drops == ()


def test_a_drop_inside_a_model_that_is_a_branch_is_known(x):
    entry = keras.Input((4,))
    drop = StochasticDepth(0.1)
    part = keras.Model(entry, drop(dense(entry)))
    (addition,) = found(x, layers.Add()([x, part(x)]))
    assert addition.branches[0].drops == (drop,)
