import pytest

from dropzoo.layers import linear_decay


@pytest.mark.parametrize(
    ("rule", "rates"),
    [
        ("paper", (0.1, 0.2, 0.3, 0.4, 0.5)),
        ("efficientnet", (0.0, 0.1, 0.2, 0.3, 0.4)),
        ("timm", (0.0, 0.125, 0.25, 0.375, 0.5)),
    ],
)
def test_rates_rise_by_the_rule(rule, rates):
    assert linear_decay(0.5, 5, rule=rule) == pytest.approx(rates)


def test_the_paper_is_the_default():
    # Huang et al., section 4: with p_L = 0.5, the expected depth of a network
    # of L blocks is (3 L - 1) / 4.
    rates = linear_decay(0.5, 54)
    assert sum(1 - rate for rate in rates) == pytest.approx((3 * 54 - 1) / 4)


@pytest.mark.parametrize("rule", ["paper", "efficientnet", "timm"])
def test_rate_zero_drops_nothing(rule):
    assert linear_decay(0, 3, rule=rule) == (0, 0, 0)


@pytest.mark.parametrize(
    ("rule", "rate"), [("paper", 0.3), ("efficientnet", 0), ("timm", 0)]
)
def test_a_single_block_is_the_first_and_the_last(rule, rate):
    assert linear_decay(0.3, 1, rule=rule) == (rate,)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"rate": 1}, r"`rate` must be in \[0, 1\). Received: rate=1"),
        ({"rate": -0.1}, "`rate` must be in"),
        ({"rate": float("nan")}, "`rate` must be in .*nan"),
        ({"num_blocks": 0}, "`num_blocks` must be at least 1.*num_blocks=0"),
        ({"rule": "cubic"}, "`rule` must be 'paper', .*rule='cubic'"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        linear_decay(**{"rate": 0.5, "num_blocks": 3, **arguments})
