from dataclasses import replace

import numpy as np
import pytest

from dropzoo.search.importance_section import how_sure
from dropzoo.search.parameter_importance import parameter_importance
from dropzoo.search.search_record import SearchRecord
from dropzoo.search.trial_record import TrialRecord
from dropzoo.search.tuned_parameter import TunedParameter

PARAMETERS = (
    TunedParameter("rate", (1e-6, 1e-2), log=True),
    TunedParameter("kind", choices=("a", "b")),
    TunedParameter("idle", (0.0, 1.0)),
)


def search(score, num_trials=60):
    rng = np.random.default_rng(0)
    trials = []
    for i in range(num_trials):
        values = {
            "rate": float(10 ** rng.uniform(-6, -2)),
            "kind": str(rng.choice(["a", "b"])),
            "idle": float(rng.uniform()),
        }
        told = score(values, rng)
        trials.append(
            TrialRecord(str(i), 1, values, told, "COMPLETED", 1, 1, "")
        )
    return SearchRecord(trials, PARAMETERS, "val_loss", False)


@pytest.fixture(scope="module")
def decided():
    """A loss that only the rate decides, and exponentially."""
    return parameter_importance(search(lambda v, _: np.exp(1e3 * v["rate"])))


def test_what_decides_alone_has_all_of_the_variance(decided):
    # The total effect of the only argument of a function is 1; the forest's
    # error and ranks of held-out trials leave a tenth.
    assert list(decided.shares)[0] == "rate"
    assert decided.shares["rate"] == pytest.approx(1, abs=0.15)
    assert decided.shares["kind"] < 0.02 > decided.shares["idle"]
    assert decided.r2 > 0.9
    assert "The first places can be relied on." in how_sure(decided)


def test_nothing_is_made_of_noise():
    found = parameter_importance(search(lambda _, rng: rng.uniform()))
    assert found.r2 < 0.2 and found.shares == {}
    assert "nothing is said" in how_sure(found)


def test_nothing_is_made_of_equal_scores():
    assert parameter_importance(search(lambda *_: 0.5)).shares == {}


def test_nothing_is_made_of_few_trials():
    few = search(lambda v, _: v["rate"], num_trials=19)
    found = parameter_importance(few)
    assert (found.num_trials, found.r2, found.shares) == (19, None, {})
    assert how_sure(found) == (
        "19 trials with a score are too few to say which parameter mattered; "
        "at least 20 are needed."
    )


def test_planned_epochs_count_where_they_differ():
    record = search(lambda *_: 0.0, 24)
    planned = [
        replace(trial, planned_epochs=1 + i % 2, score=float(i % 2))
        for i, trial in enumerate(record.trials)
    ]
    found = parameter_importance(replace(record, trials=planned))
    assert list(found.shares)[0] == "epochs"


def test_that_hopeless_trials_ended_early_does_not_count():
    record = search(lambda v, _: v["rate"])
    worse = np.median([trial.score for trial in record.trials])
    ended = [
        replace(t, epochs=1 if t.score > worse else 10, planned_epochs=10)
        for t in record.trials
    ]
    found = parameter_importance(replace(record, trials=ended))
    assert list(found.shares)[0] == "rate" and "epochs" not in found.shares
