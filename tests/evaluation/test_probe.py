"""The probe against scikit-learn, on clusters of points."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from dropzoo.data.feature_cache import Features
from dropzoo.evaluation import probe as probe_module
from dropzoo.evaluation.feature_scaling import Scaling
from dropzoo.evaluation.folds import Folds, choose_folds
from dropzoo.evaluation.minibatch_probe import FeatureBatches
from dropzoo.evaluation.probe import INVERSE_STRENGTHS, fit_probe

CHANNELS = 6


@pytest.fixture
def clusters(tmp_path):
    """Features of two views and labels: clusters that overlap."""

    def make(num_classes=3, each=60, views=2, spread=2.0):
        rng = np.random.default_rng(0)
        labels = np.repeat(np.arange(num_classes), each)
        rng.shuffle(labels)
        centres = rng.normal(size=(num_classes, CHANNELS))
        shape = (len(labels), views, CHANNELS)
        values = centres[labels][:, None] + spread * rng.normal(size=shape)
        # Features of a real network are all positive and far from 0.
        return write(tmp_path, 5 * (values + 9)), labels

    return make


def write(folder, values):
    """Features on disk, as the cache leaves them."""
    path = folder / f"features-{len(list(folder.iterdir()))}.f32"
    values.astype("<f4").tofile(path)
    places = np.stack([np.zeros(len(values), int), range(len(values))], axis=1)
    return Features((path,), places, values.shape, num_computed=0)


def split(labels, share=0.6):
    """The first images to learn from, the others to judge on."""
    number = int(share * len(labels))
    learn, judge = np.split(np.arange(len(labels)), [number])
    return Folds(((learn, judge),), learn)


def by_scikit_learn(features, labels, positions, strength):
    """Log-probabilities of the first views by a fit from scratch."""
    values = features.read().astype("float64")
    x = values[positions].reshape(-1, CHANNELS)
    scale = x.std()
    model = LogisticRegression(C=strength, tol=1e-6, max_iter=10_000)
    model.fit(x / scale, np.repeat(labels[positions], values.shape[1]))
    return model.predict_log_proba(values[:, 0] / scale)


def log_probabilities(features, head):
    kernel, bias = head
    logits = features.read()[:, 0] @ kernel + bias
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_the_head_is_that_of_scikit_learn(clusters, num_classes, monkeypatch):
    monkeypatch.setattr(probe_module, "TOLERANCE", 1e-8)
    features, labels = clusters(num_classes)
    folds = split(labels)
    probe = fit_probe(features, labels, num_classes, folds)
    expected = by_scikit_learn(
        features, labels, folds.learn, probe.inverse_strength
    )
    assert probe.head[0].shape == (CHANNELS, num_classes)
    assert probe.head[1].shape == (num_classes,)
    # In float32 here and in float64 there.
    np.testing.assert_allclose(
        log_probabilities(features, probe.head), expected, atol=5e-3
    )


def test_held_out_losses_are_those_of_scikit_learn(clusters):
    features, labels = clusters()
    folds = split(labels)
    ((learn, judge),) = folds.pairs
    probe = fit_probe(features, labels, 3, folds)
    for strength in INVERSE_STRENGTHS:
        scores = by_scikit_learn(features, labels, learn, strength)[judge]
        expected = log_loss(labels[judge], np.exp(scores), labels=range(3))
        assert probe.scores[strength] == pytest.approx(expected, abs=5e-3)


def test_losses_and_hits_are_those_of_the_heads_of_the_folds(clusters):
    features, labels = clusters()
    folds = choose_folds(labels, labels[:0], seed=0)
    probe = fit_probe(features, labels, 3, folds)
    assert len(probe.fold_heads) == len(folds.pairs) > 1
    for (_, judge), head in zip(folds.pairs, probe.fold_heads, strict=True):
        scores = log_probabilities(features, head)[judge]
        losses = -scores[np.arange(len(judge)), labels[judge]]
        np.testing.assert_allclose(probe.losses[judge], losses, atol=1e-4)
        hits = scores.argmax(axis=1) == labels[judge]
        np.testing.assert_array_equal(probe.correct[judge], hits)
    assert probe.num_judged == len(labels)
    assert probe.accuracy == pytest.approx(probe.correct.mean())
    mean = probe.scores[probe.inverse_strength]
    assert probe.losses.mean() == pytest.approx(mean)


def test_what_was_never_held_out_is_not_judged(clusters):
    features, labels = clusters()
    folds = split(labels, share=0.75)
    probe = fit_probe(features, labels, 3, folds)
    ((learn, judge),) = folds.pairs
    assert np.isnan(probe.losses[learn]).all()
    assert np.isfinite(probe.losses[judge]).all()
    assert probe.num_judged == len(judge)
    assert probe.accuracy == pytest.approx(probe.correct[judge].mean())


def test_a_head_of_a_fold_has_not_seen_what_the_fold_holds_out(clusters):
    features, labels = clusters()
    folds = split(labels)
    ((_, judge),) = folds.pairs
    before = fit_probe(features, labels, 3, folds)
    changed = labels.copy()
    changed[judge] = (changed[judge] + 1) % 3
    after = fit_probe(features, changed, 3, folds)
    # The choice of the penalty may differ; at one penalty the heads do not.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe_module, "INVERSE_STRENGTHS", (0.1,))
        before = fit_probe(features, labels, 3, folds)
        after = fit_probe(features, changed, 3, folds)
    np.testing.assert_array_equal(
        before.fold_heads[0][0], after.fold_heads[0][0]
    )
    assert before.accuracy != after.accuracy


def test_the_other_views_are_learned_from_but_not_judged_on(clusters, tmp_path):
    features, labels = clusters(views=2)
    values = features.read()
    folds = split(labels)
    ((_, judge),) = folds.pairs
    before = fit_probe(features, labels, 3, folds)
    values[judge, 1] += 100
    after = fit_probe(write(tmp_path, values), labels, 3, folds)
    np.testing.assert_array_equal(before.losses, after.losses)


def rows(*means):
    """Losses of four images: the best row deviates by 0.2 from its mean."""
    pattern = np.array([-0.2, 0.2, -0.2, 0.2])
    losses = [mean + pattern for mean in means]
    return np.pad(losses, ((0, 0), (1, 2)), constant_values=np.nan)


@pytest.mark.parametrize(
    ("means", "row"),
    [
        # The error is 0.2 / sqrt(4) = 0.1.
        ((1.0, 0.6, 0.5, 0.7), 1),
        ((1.0, 0.601, 0.5, 0.7), 2),
        ((0.59, 0.61, 0.5, 0.7), 0),
        ((0.5, 0.6, 0.7, 0.8), 0),
        ((0.9, 0.8, 0.7, 0.5), 3),
    ],
)
def test_the_strongest_penalty_within_one_error_is_chosen(means, row):
    means = np.array(means) - 1e-9 * (np.array(means) == 0.6)
    assert probe_module._one_standard_error(rows(*means)) == row


def test_the_chosen_strength_follows_the_rule(clusters):
    features, labels = clusters()
    probe = fit_probe(features, labels, 3, split(labels))
    best = min(probe.scores, key=probe.scores.get)
    strengths = list(probe.scores)
    assert strengths == sorted(strengths) == list(INVERSE_STRENGTHS)
    assert probe.inverse_strength <= best
    spread = probe.losses[np.isfinite(probe.losses)].std()
    error = spread / np.sqrt(probe.num_judged)
    chosen = probe.scores[probe.inverse_strength]
    assert chosen - probe.scores[best] < 1.5 * error


def test_features_of_any_scale_give_the_same_choice(clusters, tmp_path):
    features, labels = clusters()
    before = fit_probe(features, labels, 3, split(labels))
    smaller = write(tmp_path, features.read() / 1024)
    after = fit_probe(smaller, labels, 3, split(labels))
    assert after.inverse_strength == before.inverse_strength
    np.testing.assert_allclose(after.losses, before.losses, atol=0.02)


def test_blank_photos_give_the_share_of_each_class(clusters, tmp_path):
    features, labels = clusters()
    blank = write(tmp_path, 0 * features.read())
    folds = split(labels)
    probe = fit_probe(blank, labels, 3, folds)
    shares = np.bincount(labels[folds.learn]) / len(folds.learn)
    guessed = np.exp(log_probabilities(features, probe.head))
    np.testing.assert_allclose(guessed[0], shares, atol=0.02)


@pytest.mark.parametrize(
    ("num_classes", "strengths"),
    [
        pytest.param(2, (0.1,), marks=pytest.mark.slow(ci=True)),
        pytest.param(3, (0.01, 0.1), marks=pytest.mark.slow(ci=True)),
    ],
)
def test_beyond_the_memory_limit_the_head_is_nearly_the_same(
    clusters, monkeypatch, num_classes, strengths
):
    features, labels = clusters(num_classes, each=3000 // num_classes)
    folds = split(labels)
    ((_, judge),) = folds.pairs
    monkeypatch.setattr(probe_module, "INVERSE_STRENGTHS", strengths)
    whole = fit_probe(features, labels, num_classes, folds)
    monkeypatch.setattr(probe_module, "MEMORY_LIMIT", 1000)
    monkeypatch.setattr(Features, "read", lambda self: 1 / 0)  # never all
    parts = fit_probe(features, labels, num_classes, folds)
    assert parts.head[0].shape == whole.head[0].shape
    # Adam ends near a minimum, not in it: within a standard error of the mean
    # loss, and one photo in fifty judged otherwise.
    error = whole.losses[judge].std() / np.sqrt(len(judge))
    for strength, score in whole.scores.items():
        assert parts.scores[strength] == pytest.approx(score, abs=error)
    assert abs(parts.accuracy - whole.accuracy) < 0.02


def test_minibatches_give_every_view_once_in_each_epoch(clusters):
    features, labels = clusters(each=10)
    positions = np.arange(1, 30, 2)
    halved = Scaling(np.zeros(CHANNELS), 2.0)
    batches = FeatureBatches(features, labels, positions, halved, batch_size=4)
    orders = []
    for _ in range(2):
        parts = [batches[index] for index in range(len(batches))]
        x = np.concatenate([part for part, _ in parts])
        y = np.concatenate([part for _, part in parts])
        assert [len(part) for _, part in parts] == [8, 8, 8, 6]
        expected = features.read()[positions].reshape(-1, CHANNELS) / 2
        order = np.lexsort(x.T), np.lexsort(expected.T)
        np.testing.assert_array_equal(x[order[0]], expected[order[1]])
        of_views = np.repeat(labels[positions], 2)
        np.testing.assert_array_equal(y[order[0]], of_views[order[1]])
        orders.append(x)
        batches.on_epoch_end()
    assert (orders[0] != orders[1]).any()


@pytest.mark.parametrize(
    ("num_classes", "sentence"),
    [(4, "num_classes=4, none of class 3"), (1, "num_classes=1")],
)
def test_a_class_that_cannot_be_learned_is_refused(
    clusters, num_classes, sentence
):
    features, labels = clusters(3 if num_classes == 4 else 1)
    with pytest.raises(ValueError, match=sentence):
        fit_probe(features, labels, num_classes, split(labels))


def test_a_class_that_is_only_judged_is_refused(clusters):
    features, labels = clusters()
    order = np.argsort(labels, kind="stable")
    learn, judge = order[:100], order[100:]
    with pytest.raises(ValueError, match="none of class 2"):
        fit_probe(features, labels, 3, Folds(((learn, judge),), order))
