"""Soups against means and choices made in NumPy."""

import logging

import keras
import numpy as np
import pytest
from keras import layers

from dropzoo.models import recompute_batch_norm, soup

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype("float32")
Y = X @ np.array([[1.0], [-2.0], [0.5]]) + RNG.normal(size=(40, 1))
BATCHES = [X[:20], X[20:]]


def linear(weights=None, name="linear"):
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(1, use_bias=False, name="dense")],
        name=name,
    )
    if weights is not None:
        model.set_weights([np.reshape(weights, (3, 1))])
    return model


def normalized(seed):
    """A network with weights of its own, batch statistics among them."""
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, name="dense"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(2, name="head"),
        ]
    )
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(1, 2, x.shape) for x in model.weights])
    return model


def weights_of(model):
    return [keras.ops.convert_to_numpy(x) for x in model.weights]


def mean_weights(models):
    return [
        np.mean(x, axis=0) for x in zip(*map(weights_of, models), strict=True)
    ]


def assert_close(found, expected, **tolerance):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, **tolerance)


def score_of(weights):
    return -np.mean((X @ np.reshape(weights, (3, 1)) - Y) ** 2)


def score(model):
    return score_of(weights_of(model)[0])


def greedy_by_hand(weights):
    """Recipe 1 of the paper, on vectors."""
    weights = sorted(weights, key=score_of, reverse=True)
    chosen = weights[:1]
    for other in weights[1:]:
        tried = score_of(np.mean([*chosen, other], axis=0))
        if tried >= score_of(np.mean(chosen, axis=0)):
            chosen.append(other)
    return chosen


def test_a_uniform_soup_has_the_mean_weights():
    members = [linear(RNG.normal(size=3)) for _ in range(4)]
    mixed = soup(linear(), members)
    assert_close(weights_of(mixed), mean_weights(members), rtol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_a_greedy_soup_is_the_papers(seed, caplog):
    rng = np.random.default_rng(seed)
    weights = [1, -2, 0.5] + rng.normal(size=(7, 3)).astype("float32")
    chosen = greedy_by_hand(list(weights))
    assert 1 < len(chosen) < 7
    members = [linear(w, f"member_{i}") for i, w in enumerate(weights)]
    with caplog.at_level(logging.INFO, "dropzoo"):
        mixed = soup(linear(), members, score=score)
    found = weights_of(mixed)[0].ravel()
    np.testing.assert_allclose(found, np.mean(chosen, axis=0), rtol=1e-5)
    places = [int(np.flatnonzero((weights == w).all(1))[0]) for w in chosen]
    listed = ", ".join(f"member_{place}" for place in places)
    assert f"soup: {len(chosen)} of 7 members: {listed}" in caplog.text


def test_members_of_one_score_are_all_taken_in_their_order():
    members = [linear(w) for w in ([1, 0, 0], [0, 1, 0], [0, 0, 1])]
    mixed = soup(linear(), members, score=lambda model: 1)
    assert_close(weights_of(mixed), mean_weights(members), rtol=1e-6)


def test_members_may_be_files(tmp_path):
    members = [normalized(seed) for seed in range(3)]
    members[0].save_weights(tmp_path / "0.weights.h5")
    members[1].save(tmp_path / "1.keras")
    given = [tmp_path / "0.weights.h5", str(tmp_path / "1.keras"), members[2]]
    mixed = soup(normalized(9), given, batches=lambda: BATCHES)
    expected = soup(members[0], members, batches=BATCHES)
    assert_close(weights_of(mixed), weights_of(expected), rtol=1e-6)


def test_batch_statistics_are_those_of_the_averaged_weights():
    members = [normalized(seed) for seed in range(3)]
    mixed = soup(members[0], members, batches=BATCHES)
    expected = normalized(0)
    expected.set_weights(mean_weights(members))
    recompute_batch_norm(expected, BATCHES)
    assert_close(weights_of(mixed), weights_of(expected), rtol=1e-6)
    hidden = [x @ weights_of(mixed)[0] + weights_of(mixed)[1] for x in BATCHES]
    moving = mixed.get_layer("norm").moving_mean
    by_hand = np.mean([x.mean(axis=0) for x in hidden], axis=0)
    np.testing.assert_allclose(moving, by_hand, rtol=1e-5)


def test_and_each_average_is_scored_with_its_own():
    members = [normalized(seed) for seed in range(3)]
    seen = []

    def note(model):
        seen.append(weights_of(model))
        return 0

    mixed = soup(members[0], members, score=note, batches=BATCHES)
    for found, member in zip(seen, members, strict=False):
        assert_close(found, weights_of(member), rtol=1e-6)  # with their own
    for found, count in zip(seen[3:], (2, 3), strict=True):
        expected = soup(members[0], members[:count], batches=BATCHES)
        assert_close(found, weights_of(expected), rtol=1e-6)
    assert_close(weights_of(mixed), seen[-1], rtol=1e-6)


def test_a_member_that_is_best_alone_keeps_its_statistics():
    members = [normalized(seed) for seed in range(2)]
    best = weights_of(members[1])[0]

    def likes_the_second(model):
        return -np.abs(weights_of(model)[0] - best).sum()

    mixed = soup(members[0], members, score=likes_the_second, batches=BATCHES)
    assert_close(weights_of(mixed), weights_of(members[1]), rtol=0)


def test_frozen_statistics_are_averaged_and_stay():
    members = [normalized(seed) for seed in range(2)]
    members[0].get_layer("norm").trainable = False
    mixed = soup(members[0], members)
    assert_close(weights_of(mixed), mean_weights(members), rtol=1e-6)
    assert not mixed.get_layer("norm").trainable


def test_equal_weights_stay_equal_to_the_bit():
    members = [normalized(7) for _ in range(3)]
    members[0].get_layer("norm").trainable = False
    mixed = soup(members[0], members)
    assert_close(weights_of(mixed), weights_of(members[0]), rtol=0)


def test_what_a_normalization_knows_comes_from_the_members():
    def build(numbers=None):
        normalization = layers.Normalization()
        model = keras.Sequential(
            [keras.Input((1,)), normalization, layers.Dense(1, name="dense")]
        )
        if numbers:
            normalization.adapt(np.reshape(numbers, (-1, 1)))
        return model

    member = build([1.0, 5.0])
    mixed = soup(build(), [member, member])
    x = np.array([[2.0], [7.0]])
    found, expected = map(keras.ops.convert_to_numpy, (mixed(x), member(x)))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_models_and_members_are_left_as_they_were():
    model, members = linear([5, 6, 7]), [linear([1, 2, 3]), linear([3, 2, 1])]
    mixed = soup(model, members, score=score)
    mixed.set_weights([np.zeros((3, 1))])
    found = [weights_of(x)[0].ravel().tolist() for x in (model, *members)]
    assert found == [[5, 6, 7], [1, 2, 3], [3, 2, 1]]


def two_layers(units):
    return keras.Sequential(
        [keras.Input((3,)), layers.Dense(units), layers.Dense(1)]
    )


def test_a_member_of_other_shapes_is_refused_by_its_first_variable():
    members = [two_layers(4), two_layers(5)]
    with pytest.raises(
        ValueError, match=r"kernel \(3, 5\) of .* in the place of .*\(3, 4\)"
    ):
        soup(members[0], members)


def test_a_member_of_more_variables_is_refused_too():
    members = [linear(name="short"), two_layers(1)]
    with pytest.raises(ValueError, match="variables of.*in the place of no"):
        soup(members[0], members)
    with pytest.raises(ValueError, match="Received: nothing of short in"):
        soup(members[1], members[:1])


@pytest.mark.parametrize("units", [5, 0])
def test_a_file_of_another_network_is_refused(tmp_path, units):
    other = two_layers(units) if units else linear()
    other.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(ValueError, match=r"weights of .*other.weights.h5 \("):
        soup(two_layers(4), [tmp_path / "other.weights.h5"])


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no.weights.h5"):
        soup(linear(), [tmp_path / "no.weights.h5"])


def test_batch_normalization_needs_batches():
    with pytest.raises(ValueError, match="soup: `batches` must be .* for norm"):
        soup(normalized(0), [normalized(0)])


@pytest.mark.parametrize(
    ("members", "options", "kind", "sentence"),
    [
        ([], {}, ValueError, "`members` must hold at least one"),
        (
            "a.keras",
            {},
            TypeError,
            "`members` must be a list of models .*members='a.keras'",
        ),
        ([3], {}, TypeError, r"`members` must be a list .*members=\[3\]"),
        ([linear()], {"score": 1.0}, TypeError, "`score` must be a .*=1.0"),
        (
            [linear(name="one")],
            {"score": lambda model: float("nan")},
            ValueError,
            "`score` must give a number. Received: nan, with one",
        ),
    ],
)
def test_what_cannot_be_mixed_is_refused(members, options, kind, sentence):
    with pytest.raises(kind, match=f"soup: .*{sentence}"):
        soup(linear(), members, **options)


def test_what_has_no_graph_is_refused():
    with pytest.raises(TypeError, match="soup: `model` must be a functional"):
        soup(layers.Dense(3), [linear()])
