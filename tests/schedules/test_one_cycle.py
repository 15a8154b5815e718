import math

import numpy as np
import pytest

from dropzoo.schedules import OneCycle


def half_cosine(first, last, share):
    return last + (first - last) / 2 * (math.cos(math.pi * share) + 1)


def straight(first, last, share):
    return first + (last - first) * share


def torch_by_hand(t, peak, steps, w=0.3, divisor=25.0, final=1e4, three=False):
    """PyTorch's `OneCycleLR`, written down from its formulas."""
    curve = straight if three else half_cosine
    low, last = peak / divisor, peak / divisor / final
    ends = [(w * steps - 1, low, peak)]
    if three:
        ends.append((2 * w * steps - 2, peak, low))
    ends.append((steps - 1, low if three else peak, last))
    begin = 0.0
    for end, first, second in ends[:-1]:
        if t <= end:
            return curve(first, second, (t - begin) / (end - begin))
        begin = end
    end, first, second = ends[-1]
    return curve(first, second, (t - begin) / (end - begin))


def fastai_by_hand(t, peak, steps, w=0.25, divisor=25.0, final=1e5):
    """fastai's `fit_one_cycle`: two cosines over the share of the run."""
    position = t / steps
    if position < w:
        return half_cosine(peak / divisor, peak, position / w)
    return half_cosine(peak, peak / final, (position - w) / (1 - w))


def smith_by_hand(t, peak, steps, **options):
    return torch_by_hand(t, peak, steps, three=True, **options)


SHAPES = {
    "torch": torch_by_hand,
    "fastai": fastai_by_hand,
    "smith": smith_by_hand,
}


@pytest.mark.parametrize("steps", [4, 10, 33, 100, 5000])
@pytest.mark.parametrize("shape", SHAPES)
def test_rates_are_those_of_the_named_shape(rates, shape, steps):
    found = rates(OneCycle(0.1, steps, shape=shape), steps)
    expected = [SHAPES[shape](t, 0.1, steps) for t in range(steps)]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
def test_options_move_the_peak_and_both_ends(rates, shape):
    schedule = OneCycle(
        1.0,
        200,
        warmup_share=0.4,
        shape=shape,
        initial_divisor=10.0,
        final_divisor=1000.0,
    )
    final = 1000.0 if shape == "fastai" else 100.0  # torch's of the initial
    expected = [
        SHAPES[shape](t, 1.0, 200, w=0.4, divisor=10.0, final=final)
        for t in range(200)
    ]
    np.testing.assert_allclose(rates(schedule, 200), expected, rtol=1e-6)


def test_torchs_final_rate_follows_the_initial_one():
    schedule = OneCycle(1.0, 50, initial_divisor=10.0)
    np.testing.assert_allclose(float(schedule(49)), 1e-5, rtol=1e-6)


@pytest.mark.torch
@pytest.mark.parametrize("steps", [7, 100, 1234])
@pytest.mark.parametrize("shape", ["torch", "smith"])
def test_rates_are_those_of_torch_itself(rates, torch_rates, shape, steps):
    expected = torch_rates(
        lambda module, optimizer: module.OneCycleLR(
            optimizer,
            0.1,
            total_steps=steps,
            three_phase=shape == "smith",
            anneal_strategy="linear" if shape == "smith" else "cos",
        ),
        steps,
    )
    found = rates(OneCycle(0.1, steps, shape=shape), steps)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_peak_is_reached_exactly(rates, shape):
    schedule = OneCycle(0.1, 100, warmup_share=0.5, shape=shape)
    assert rates(schedule, 100).max() == np.float32(0.1)


@pytest.mark.parametrize(
    ("shape", "final"), [("torch", 4e-7), ("fastai", 1e-6), ("smith", 4e-7)]
)
def test_steps_behind_the_end_keep_the_final_rate(rates, shape, final):
    found = rates(OneCycle(0.1, 20, shape=shape), 60)
    np.testing.assert_allclose(found[20:], final, rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_trainings_have_rates(rates, shape, steps):
    found = rates(OneCycle(0.1, steps, shape=shape), steps)
    assert ((0 < found) & (found <= np.float32(0.1))).all()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, math.nan])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(ValueError, match=r"`warmup_share` must be in \(0, 1\)"):
        OneCycle(0.1, 10, warmup_share=share)


def test_a_rise_that_leaves_no_room_for_the_same_fall_is_refused():
    with pytest.raises(ValueError, match="at most 0.5 .*warmup_share=0.6"):
        OneCycle(0.1, 10, warmup_share=0.6, shape="smith")


def test_an_unknown_shape_is_refused():
    with pytest.raises(ValueError, match="`shape` must be .*shape='cos'"):
        OneCycle(0.1, 10, shape="cos")
