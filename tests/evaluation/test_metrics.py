import json
import math

import numpy as np
import pytest
import sklearn.metrics
from scipy.stats import norm

from dropzoo.evaluation import evaluate_probabilities

NAMES = ["apple", "banana", "cherry", "date", "elder", "fig", "grape"]


def draw(num_examples=400, num_classes=7, seed=0):
    """Labels and softmax probabilities that are right more often than not."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(num_classes, size=num_examples)
    logits = rng.normal(size=(num_examples, num_classes))
    logits[np.arange(num_examples), labels] += 1.5
    weights = np.exp(logits)
    return labels, weights / weights.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def drawn():
    return draw()


@pytest.fixture(scope="module")
def metrics(drawn):
    return evaluate_probabilities(*drawn, NAMES)


def test_accuracy_and_top5_agree_with_a_ranking_by_hand(drawn, metrics):
    labels, probabilities = drawn
    ranked = np.argsort(-probabilities, axis=1)
    assert metrics.num_examples == 400
    assert metrics.accuracy == (ranked[:, 0] == labels).mean()
    in_five = (ranked[:, :5] == labels[:, None]).any(axis=1).mean()
    assert metrics.top5_accuracy == in_five


def test_interval_is_wilsons_closed_form(metrics):
    n, p = 400, metrics.accuracy
    z = norm.ppf(0.975)
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert metrics.accuracy_interval == pytest.approx(
        (centre - half, centre + half)
    )


def test_interval_of_a_perfect_score_stays_within_one():
    metrics = evaluate_probabilities(np.array([0]), np.eye(2)[:1], ["a", "b"])
    low, high = metrics.accuracy_interval
    assert 0.2 < low < 0.21 and high == 1.0  # Wilson with n = 1


def test_likelihood_and_f1_agree_with_scikit_learn(drawn, metrics):
    labels, probabilities = drawn
    predicted = probabilities.argmax(axis=1)
    assert metrics.negative_log_likelihood == pytest.approx(
        sklearn.metrics.log_loss(labels, probabilities)
    )
    assert metrics.macro_f1 == pytest.approx(
        sklearn.metrics.f1_score(labels, predicted, average="macro")
    )


def test_per_class_scores_follow_from_the_confusion_matrix(drawn, metrics):
    labels, probabilities = drawn
    matrix = np.zeros((7, 7), int)
    np.add.at(matrix, (labels, probabilities.argmax(axis=1)), 1)
    np.testing.assert_array_equal(metrics.confusion, matrix)
    for i, scores in enumerate(metrics.per_class):
        precision = matrix[i, i] / matrix[:, i].sum()
        recall = matrix[i, i] / matrix[i].sum()
        assert scores.name == NAMES[i]
        assert scores.support == matrix[i].sum()
        assert scores.precision == pytest.approx(precision)
        assert scores.recall == pytest.approx(recall)
        assert scores.f1 == pytest.approx(
            2 * precision * recall / (precision + recall)
        )


def test_calibration_covers_every_example_in_fifteen_bins(metrics):
    assert len(metrics.reliability) == 15
    assert sum(b.count for b in metrics.reliability) == 400
    error = sum(
        b.count / 400 * abs(b.accuracy - b.confidence)
        for b in metrics.reliability
        if b.count
    )
    assert metrics.expected_calibration_error == pytest.approx(error)


def test_a_certain_mistake_costs_a_finite_likelihood():
    metrics = evaluate_probabilities(np.array([1]), np.eye(2)[:1], ["a", "b"])
    assert metrics.negative_log_likelihood == pytest.approx(-math.log(1e-15))


def test_a_class_without_examples_has_no_scores_and_does_not_count():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.eye(3)[[0, 2, 1, 1]] * 0.8 + 0.2 / 3
    metrics = evaluate_probabilities(labels, probabilities, ["a", "b", "c"])
    absent = metrics.per_class[2]
    assert (absent.precision, absent.recall, absent.f1) == (None, None, None)
    assert absent.support == 0
    # F1 of a: precision 1, recall 1/2; of b: 1.
    assert metrics.macro_f1 == pytest.approx((2 / 3 + 1) / 2)
    assert metrics.confusion.shape == (3, 3)


def test_a_class_never_predicted_has_precision_zero():
    metrics = evaluate_probabilities(
        np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]), ["a", "b"]
    )
    assert metrics.per_class[1].precision == 0.0


def test_top5_is_left_out_where_it_says_nothing():
    labels, probabilities = draw(num_classes=5)
    metrics = evaluate_probabilities(labels, probabilities, NAMES[:5])
    assert metrics.top5_accuracy is None


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_low_precision_softmax_is_accepted(dtype):
    labels, probabilities = draw(num_classes=1000)
    names = [str(i) for i in range(1000)]
    exact = evaluate_probabilities(labels, probabilities, names)
    rounded = evaluate_probabilities(labels, probabilities.astype(dtype), names)
    # float16 keeps 11 bits, and its smallest number is 6e-8.
    assert rounded.negative_log_likelihood == pytest.approx(
        exact.negative_log_likelihood, rel=1e-3
    )


def test_the_dictionary_survives_json(metrics):
    record = metrics.to_dict()
    again = json.loads(json.dumps(record, allow_nan=False))
    assert again == record
    assert again["accuracy"] == metrics.accuracy
    assert again["confusion"] == metrics.confusion.tolist()
    assert again["per_class"][0]["name"] == "apple"
    assert sum(b["count"] for b in again["reliability"]) == 400


GOOD = np.array([[0.5, 0.5], [0.1, 0.9]])


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], GOOD[0], r"shape \(n, 2\).* \(2,\)"),
        ([0, 1], np.ones((2, 3)) / 3, r"shape \(n, 2\).* \(2, 3\)"),
        ([], np.ones((0, 2)), "at least one"),
        ([0, 1], [[np.nan, 1.0], [0.5, 0.5]], "NaN or infinity in 1 of 2"),
        ([0, 1], [[-1.0, 2.0], [0.5, 0.5]], "softmax"),
        ([0, 1], [[2.0, 3.0], [0.5, 0.5]], "from 0.5 to 3; apply softmax"),
        ([0, 1, 1], GOOD, r"shape \(2,\).* \(3,\)"),
        ([0, 2], GOOD, r"in \[0, 2\).*from 0 to 2"),
        ([-1, 1], GOOD, r"in \[0, 2\).*from -1 to 1"),
    ],
)
def test_unusable_numbers_are_refused_in_a_sentence(
    labels, probabilities, message
):
    with pytest.raises(ValueError, match=message):
        evaluate_probabilities(
            np.array(labels, int), np.array(probabilities), ["a", "b"]
        )


def test_a_single_class_is_refused():
    with pytest.raises(ValueError, match="at least two"):
        evaluate_probabilities(np.array([0]), np.ones((1, 1)), ["a"])


def test_labels_that_are_not_integers_are_refused():
    with pytest.raises(TypeError, match="argmax of one-hot"):
        evaluate_probabilities(np.array([0.0, 1.0]), GOOD, ["a", "b"])


def test_probabilities_that_are_not_floats_are_refused():
    with pytest.raises(TypeError, match="must be floats.*int64"):
        evaluate_probabilities(
            np.array([0, 1]), np.eye(2, dtype=int), ["a", "b"]
        )
