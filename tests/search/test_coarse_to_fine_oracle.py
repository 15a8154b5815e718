import random

import pytest
from keras_tuner.engine.trial import Trial
from landscape import Landscape

from dropzoo.search import CoarseToFine, read_trials

MODEL = Landscape()


@pytest.fixture
def make(tmp_path):
    """Makes the oracle of a search, and tells its folder."""

    def make(name, **options):
        options = {"max_trials": 24, "epochs": (3, 4)} | options
        tuner = CoarseToFine(
            Landscape(), directory=tmp_path, project_name=name, **options
        )
        return tuner.oracle, tmp_path / name

    return make


class Clock:
    """Tells the seconds that a test has let pass."""

    now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("dropzoo.search.coarse_to_fine_oracle.time", clock)
    return clock


def drive(oracle, workers, rng):
    """Runs all trials, of several workers in a random order."""
    at_work, idle = {}, list(workers)
    while idle or at_work:
        name = rng.choice([*idle, *at_work])
        if name in idle:
            trial = oracle.create_trial(name)
            if trial.status == "IDLE":
                continue
            idle.remove(name)
            if trial.status == "RUNNING":
                at_work[name] = [trial, 0]
            continue
        trial, epoch = at_work[name]
        values = trial.hyperparameters.values
        logs = MODEL.logs(values, epoch)
        seen = oracle.update_trial(trial.trial_id, logs, step=epoch)
        at_work[name][1] += 1
        if seen.status == "STOPPED" or epoch + 1 == values["tuner/epochs"]:
            oracle.end_trial(
                Trial(trial.hyperparameters, trial.trial_id, "COMPLETED")
            )
            del at_work[name]
            idle.append(name)


@pytest.mark.parametrize(
    "stages",
    [
        ("random", "random"),
        pytest.param(("grid", "random"), marks=pytest.mark.slow(ci=True)),
    ],
)
def test_the_order_in_which_trials_end_changes_nothing(make, stages):
    records = []
    for number, workers in enumerate(("a", "abc", "abcdef")):
        oracle, folder = make(workers, stages=stages)
        drive(oracle, workers, random.Random(number))
        records.append(read_trials(folder))
    assert records[0] == records[1] == records[2]
    assert {x.status for x in records[0]} == {"COMPLETED", "STOPPED"}


def test_the_trial_of_a_silent_worker_goes_to_the_next(make, clock):
    oracle, folder = make("lost", lost_after=60)
    lost = oracle.create_trial("a")
    clock.now += 61
    assert oracle.create_trial("b").trial_id == lost.trial_id
    assert oracle.tuner_ids == {"b"}
    for epoch in range(3):  # "a" was only slow, and tells the same again
        for _ in range(2):
            metrics = {"val_accuracy": 0.1 * epoch}
            oracle.update_trial(lost.trial_id, metrics, step=epoch)
    for score in ("COMPLETED", "FAILED"):
        oracle.end_trial(Trial(lost.hyperparameters, lost.trial_id, score))
    late = oracle.update_trial(lost.trial_id, {"val_accuracy": 0.9}, step=3)
    assert late.status == "STOPPED"
    (record,) = read_trials(folder)
    assert (record.status, record.epochs, record.score) == ("COMPLETED", 3, 0.2)


def test_a_worker_that_gives_signs_of_life_keeps_its_trial(make, clock):
    oracle, _ = make("alive", lost_after=60)
    kept = oracle.create_trial("a")
    for _ in range(3):
        clock.now += 59
        oracle.get_trial(kept.trial_id)
    assert oracle.create_trial("b").trial_id != kept.trial_id


def test_a_worker_waits_while_a_trial_may_still_be_lost(make):
    oracle, _ = make("wait", max_trials=2, stages=("random",), epochs=(1,))
    first, _ = oracle.create_trial("a"), oracle.create_trial("b")
    oracle.update_trial(first.trial_id, {"val_accuracy": 0.5}, step=0)
    oracle.end_trial(Trial(first.hyperparameters, first.trial_id, "COMPLETED"))
    assert oracle.create_trial("a").status == "IDLE"


def test_what_machines_send_back_is_not_tried(make):
    oracle, folder = make("sent")
    trial = oracle.create_trial("a")
    sent = trial.hyperparameters.copy()
    sent.values |= {"tuner/message": "no room", "tuner/seconds": 2.5}
    oracle.end_trial(Trial(sent, trial.trial_id, "FAILED"))
    (record,) = read_trials(folder)
    assert (record.message, record.seconds) == ("no room", 2.5)
    assert "tuner/message" not in oracle.trials["00"].hyperparameters.values
