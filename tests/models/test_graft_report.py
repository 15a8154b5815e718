"""What the report says of a network before and after grafting."""

import keras
import pytest
from keras import layers

from dropzoo.layers import StochasticDepth
from dropzoo.models import graft, graft_report
from dropzoo.models.pooling_remarks import is_never_negative


def build():
    x = inputs = keras.Input((13, 13, 3))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(x)
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool")(x)
    for number in (1, 2):
        y = layers.Conv2D(4, 3, padding="same", name=f"conv{number}")(x)
        y = layers.Dropout(0.1, (None, 1, 1, 1), name=f"drop{number}")(y)
        x = layers.Add(name=f"add{number}")([x, y])
    x = layers.GlobalAveragePooling2D(name="features")(x)
    x = layers.Dropout(0.0, name="dropout")(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name="net")


def entries(report):
    return [(x.technique, x.place, x.layer, x.setting) for x in report.grafted]


def test_a_plain_network_tells_what_can_be_grafted():
    report = graft_report(build())
    assert report.residual_additions == ("add1", "add2")
    assert report.outer_additions == ()
    assert report.not_skipped == {}
    assert report.pooling == ("pool",)
    assert report.dense == ("logits",)
    assert report.kernels == ("conv", "conv1", "conv2", "logits")
    assert str(report).startswith(
        "net: residual additions 2, pooling layers 1, dense layers on vectors "
        "1, layers with a kernel 4."
    )


def test_stochastic_layers_of_its_own_are_listed():
    assert entries(graft_report(build())) == [
        ("stochastic_depth", "add1", "drop1", "0.1"),
        ("stochastic_depth", "add2", "drop2", "0.1"),
    ]


def test_every_technique_is_listed_where_it_acts():
    grafted = graft(
        build(),
        stochastic_depth=0.2,
        dropconnect=0.3,
        drop_block=0.1,
        max_drop=0.4,
        dropout=0.5,
        pooling="stochastic",
    )
    assert set(entries(graft_report(grafted))) == {
        ("stochastic_depth", "add1", "drop1", "0.1"),
        ("stochastic_depth", "add2", "drop2", "0.2"),
        ("dropconnect", "logits", "logits", "0.3"),
        ("drop_block", "add1", "add1_grafted_drop_block", "0.1"),
        ("drop_block", "add2", "add2_grafted_drop_block", "0.1"),
        # One behind the other.
        (
            "max_drop",
            "add1_grafted_drop_block",
            "add1_grafted_max_drop",
            "0.4",
        ),
        (
            "max_drop",
            "add2_grafted_drop_block",
            "add2_grafted_max_drop",
            "0.4",
        ),
        ("dropout", "logits", "dropout", "0.5"),
        ("pooling", "pool", "pool", "stochastic"),
    }


def test_with_the_original_it_lists_what_changed():
    model = build()
    grafted = graft(model, stochastic_depth=0.2, dropconnect=0.3)
    report = graft_report(grafted, original=model)
    # The rate of drop1 is half of 0.2, as it was before.
    assert [(x.layer, x.before) for x in report.grafted] == [
        ("drop2", "Dropout 0.1"),
        ("logits", "Dense"),
    ]
    assert (
        "stochastic_depth 0.2 at add2, by drop2, before: Dropout 0.1."
        in str(report)
    )
    assert graft_report(model, original=model).grafted == ()


def test_swapped_pooling_is_said_to_change_inference():
    model = build()
    for pooling in ("average", "fractional"):
        grafted = graft(model, pooling=pooling, dropout=0.1)
        report = graft_report(grafted, original=model)
        remarks = {x.technique: x.remark for x in report.grafted}
        assert remarks == {
            "pooling": "which changes inference too",
            "dropout": "",
        }
    assert f"pooling {pooling} at pool, before: MaxPooling2D" in str(report)


def test_new_layers_had_nothing_before():
    model = build()
    report = graft_report(graft(model, drop_block=0.1), original=model)
    assert {x.before for x in report.grafted} == {"nothing"}


def test_skipped_branches_are_said_to_be():
    model = build()
    grafted = graft(model, stochastic_depth=0.2, skip=True)
    report = graft_report(grafted, original=model)
    assert [(x.layer, x.before) for x in report.grafted] == [
        ("add1", "Add"),
        ("add2", "Add"),
    ]
    assert "stochastic_depth 0.1 at add1, before: Add, skipped" in str(report)
    assert report.residual_additions == ("add1", "add2")


def test_additions_around_others_stand_apart():
    x = keras.Input((4,))
    inner = layers.Add(name="inner")([x, layers.Dense(4)(x)])
    outer = layers.Add(name="outer")([x, layers.Dense(4)(inner)])
    report = graft_report(keras.Model(x, outer))
    assert report.residual_additions == ("inner",)
    assert report.outer_additions == ("outer",)


def test_what_cannot_be_skipped_is_listed_with_the_reason():
    x = keras.Input((4,))
    ends = [x, layers.Dense(4)(x), layers.Dense(4)(x)]
    report = graft_report(keras.Model(x, layers.Add(name="add")(ends)))
    assert report.not_skipped == {"add": "2 branches meet in it"}


@pytest.mark.parametrize(
    ("size", "window", "remark"),
    [
        # (12 - 2) / (6 - 1) is 2, and so are all steps.
        (12, {"pool_size": 2}, "leave nothing to draw"),
        (13, {"pool_size": 2}, ""),
        (12, {"pool_size": 3, "strides": 2, "padding": "same"}, ""),
    ],
)
def test_a_whole_ratio_leaves_nothing_to_draw(size, window, remark):
    x = keras.Input((size, size, 2))
    model = keras.Model(x, layers.MaxPooling2D(**window)(x))
    report = graft_report(graft(model, pooling="fractional"))
    (entry,) = report.grafted
    assert remark in entry.remark and bool(remark) == bool(entry.remark)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.ReLU(), True),
        (layers.ReLU(negative_slope=0.1), False),
        (layers.Activation("sigmoid"), True),
        (layers.Activation("tanh"), False),
        (layers.Conv2D(2, 3, activation="relu6"), True),
        (layers.Conv2D(2, 3), False),
        (layers.MaxPooling2D(), False),
    ],
)
def test_an_activation_keeps_negative_numbers_out(layer, expected):
    x = keras.Input((8, 8, 2))
    assert is_never_negative(layer(x)) == expected


def test_what_is_not_negative_stays_so_when_padded_and_joined():
    x = keras.Input((8, 8, 2))
    y = layers.ZeroPadding2D()(layers.ReLU()(x))
    assert is_never_negative(layers.Concatenate()([y, layers.Dropout(0.1)(y)]))
    mixed = layers.Concatenate()([y, layers.ZeroPadding2D()(x)])
    assert not is_never_negative(mixed)


def test_negative_input_of_stochastic_pooling_is_told():
    report = graft_report(graft(build(), pooling="stochastic"))
    (entry,) = (x for x in report.grafted if x.technique == "pooling")
    assert entry.remark == "its input may be negative, which counts as 0"


def test_drops_of_our_own_are_listed_too():
    x = keras.Input((4,))
    y = StochasticDepth(0.25, name="drop")(layers.Dense(4)(x))
    model = keras.Model(x, layers.Add(name="add")([x, y]))
    assert entries(graft_report(model)) == [
        ("stochastic_depth", "add", "drop", "0.25")
    ]


def test_only_models_with_a_graph_have_a_report():
    with pytest.raises(TypeError, match="graft_report: `model` must be"):
        graft_report(layers.Dense(2))
