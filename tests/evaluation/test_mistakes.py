import numpy as np

from dropzoo.evaluation import confident_mistakes

PROBABILITIES = np.array(
    [[0.7, 0.3], [0.2, 0.8], [0.9, 0.1], [0.7, 0.3], [0.4, 0.6]]
)


def test_the_surest_mistake_comes_first_and_ties_keep_their_order():
    rows = confident_mistakes(np.array([1, 1, 1, 1, 1]), PROBABILITIES)
    assert rows.tolist() == [2, 0, 3]


def test_no_more_than_the_limit():
    labels = np.array([1, 0, 1, 1, 0])
    assert confident_mistakes(labels, PROBABILITIES, limit=2).tolist() == [2, 1]


def test_no_mistakes_no_rows():
    labels = PROBABILITIES.argmax(axis=1)
    assert confident_mistakes(labels, PROBABILITIES).tolist() == []
