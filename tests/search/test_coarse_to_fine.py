import json
from pathlib import Path

import keras_tuner
import numpy as np
import pytest
from landscape import (
    Diverging,
    Fatal,
    Flawed,
    Landscape,
    Mishaps,
    Returning,
    Weighty,
)

from dropzoo.search import CoarseToFine, read_trials
from dropzoo.search.median_rule import last_epoch


@pytest.fixture
def make(tmp_path):
    """Makes a search that runs in this process."""

    def make(hypermodel=None, **options):
        options = {"directory": tmp_path, "project_name": "first"} | options
        options = {"max_trials": 10, "in_process": True} | options
        options = {"keep_best": 0} | options
        return CoarseToFine(hypermodel or Landscape(), **options)

    return make


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search that has ended."""
    tuner = CoarseToFine(
        Weighty(),
        max_trials=24,
        epochs=(1, 4),
        directory=tmp_path_factory.mktemp("searches"),
        in_process=True,
    )
    tuner.search(verbose=0)
    return tuner


def trial_files(tuner):
    """What the trials of a search have written, by trial."""
    files = Path(tuner.project_dir).glob("trial_*/trial.json")
    return {file.parent.name: file.read_text() for file in files}


def test_the_second_stage_looks_around_the_best_of_the_first(searched):
    records = read_trials(searched.project_dir)
    stages = [[x for x in records if x.stage == n] for n in (1, 2)]
    assert [len(stage) for stage in stages] == [12, 12]
    spans = [
        np.ptp([np.log10(x.values["rate"]) for x in stage]) for stage in stages
    ]
    assert spans[1] < 0.75 * spans[0]
    best = max(stages[0], key=lambda x: x.score)
    assert stages[1][0].values == best.values
    assert {x.epochs for x in stages[0]} == {1}
    assert max(x.epochs for x in stages[1]) == 4


def test_the_best_is_near_the_top_of_the_landscape(searched):
    (best,) = searched.get_best_hyperparameters()
    assert 10**-3.5 < best["rate"] < 10**-2.5


def test_hopeless_trials_are_stopped_and_keep_their_score(searched):
    records = [x for x in read_trials(searched.project_dir) if x.stage == 2]
    stopped = [x for x in records if x.status == "STOPPED"]
    assert stopped
    curves = []
    for record in records:
        curve = [
            searched.hypermodel.logs(record.values, epoch)["val_accuracy"]
            for epoch in range(4)
        ]
        expected = last_epoch(curve[:3], curves) or 4
        assert record.epochs == expected
        assert (record.status == "STOPPED") == (expected < 4)
        assert record.score == max(curve[:expected])
        curves.append(curve[:expected])
    assert "Stopped after epoch" in stopped[0].message


def test_only_the_best_keep_their_weights(searched):
    best = {x.trial_id for x in searched.oracle.get_best_trials(3)}
    kept = Path(searched.project_dir).glob("trial_*/*.weights.h5")
    assert {x.parent.name for x in kept} == {f"trial_{x}" for x in best}
    assert len(searched.get_best_models(3)) == 3
    with pytest.raises(ValueError, match="`keep_best` tells how many"):
        searched.get_best_models(4)


def test_equal_seeds_give_equal_files_and_others_do_not(make):
    tuners = [
        make(project_name=name, seed=seed, max_trials=6)
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    ]
    for tuner in tuners:
        tuner.search(verbose=0)
    files = [trial_files(tuner) for tuner in tuners]
    assert files[0] == files[1] != files[2]
    oracles = [Path(x.project_dir, "oracle.json").read_text() for x in tuners]
    assert oracles[0] == oracles[1]


@pytest.mark.parametrize(
    "stop_at", [1, pytest.param(8, marks=pytest.mark.slow(ci=True))]
)
def test_an_interrupted_search_ends_as_one_left_alone(make, stop_at):
    stopped = make(Landscape(interrupt_at=stop_at))
    with pytest.raises(KeyboardInterrupt):
        stopped.search(verbose=0)
    resumed, alone = make(), make(project_name="alone")
    for tuner in (resumed, alone):
        tuner.search(verbose=0)
    assert trial_files(resumed) == trial_files(alone)
    assert resumed.hypermodel.fits == 10 - stop_at + 1


def test_a_grid_can_follow_a_random_stage(make):
    tuner = make(stages=("random", "grid"), epochs=(1, 2))
    tuner.search(verbose=0)
    records = [x for x in read_trials(tuner.project_dir) if x.stage == 2]
    assert [x.values["optimizer"] for x in records] == ["sgd", "adam"]


def test_a_bayesian_stage_asks_its_oracle(make):
    tuner = make(stages=("bayesian",), epochs=(1,), max_trials=4)
    tuner.search(verbose=0)
    tried = [x.values["rate"] for x in read_trials(tuner.project_dir)]
    assert len(set(tried)) == 4


def test_hyperband_goes_on_from_the_weights_of_its_best(make):
    tuner = make(
        Weighty(), stages=("hyperband",), epochs=(4,), max_trials=7, keep_best=1
    )
    tuner.search(verbose=0)
    records = read_trials(tuner.project_dir)
    # Of five trials of two epochs, the best two go on for two more.
    best = sorted(records[:5], key=lambda x: -x.score)[:2]
    assert [x.values for x in records[5:]] == [x.values for x in best]
    assert {x.status for x in records} == {"COMPLETED"}
    weights = Path(tuner.project_dir).glob("trial_*/*.weights.h5")
    assert len(list(weights)) == 1


def test_a_sobol_sequence_is_an_option(make):
    rates = []
    for quasi_random in (False, True):
        tuner = make(
            stages=("random",),
            epochs=(1,),
            max_trials=8,
            quasi_random=quasi_random,
            project_name=str(quasi_random),
        )
        tuner.search(verbose=0)
        records = read_trials(tuner.project_dir)
        rates.append([np.log10(x.values["rate"]) for x in records])
    # Eight points of a Sobol sequence: one in each eighth of the range.
    eighths = [sorted((np.array(x) + 6) * 8 // 6) for x in rates]
    assert eighths[1] == list(range(8)) != eighths[0]


def test_failures_are_recorded_and_the_search_goes_on(make):
    tuner = make(Mishaps(), stages=("grid",), epochs=(1,), max_trials=4)
    tuner.search(verbose=0)
    found = {x.values["way"]: x for x in read_trials(tuner.project_dir)}
    assert found.pop("none").score == 0.5
    messages = {way: record.message for way, record in found.items()}
    assert messages == {
        "raise": "ValueError: no such photo",
        "diverge": "Diverged: loss was nan after epoch 1.",
        "memory": "Ran out of memory (MemoryError).",
    }
    assert {x.status for x in found.values()} == {"FAILED"}
    trial = Path(tuner.project_dir) / f"trial_{found['raise'].trial_id}"
    assert "in the folder" in (trial / "error.txt").read_text()


def test_the_same_error_three_times_ends_the_search(make):
    tuner = make(Flawed())
    with pytest.raises(RuntimeError, match="3 trials in a row.*a flaw of"):
        tuner.search(verbose=0)
    assert len(read_trials(tuner.project_dir)) == 3


def test_a_fatal_error_ends_the_search_at_once(make):
    with pytest.raises(ValueError, match="no photos at all"):
        make(Fatal()).search(verbose=0)


def test_a_tuner_of_another_name_goes_on_with_the_search(make, monkeypatch):
    make(max_trials=4).search(verbose=0)
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "desk")
    tuner = make(max_trials=4)
    assert len(tuner.oracle.trials) == 4
    tuner.search(verbose=0)
    assert tuner.hypermodel.fits == 0


def test_a_search_in_which_everything_diverges_ends_after_a_stage(make):
    tuner = make(Diverging(), max_trials=8)
    with pytest.raises(RuntimeError, match="all 4 trials.*Diverged: loss was"):
        tuner.search(verbose=0)


@pytest.mark.parametrize("result", [0.25, {"val_accuracy": 0.25, "size": 3}])
def test_fit_may_return_the_score(make, result):
    tuner = make(Returning(result), max_trials=2)
    tuner.search(verbose=0)
    assert [x.score for x in read_trials(tuner.project_dir)] == [0.25, 0.25]


def test_an_objective_that_nothing_logs_is_named(make):
    tuner = make(objective=keras_tuner.Objective("val_f1", "max"))
    with pytest.raises(ValueError, match="which are loss, val_accuracy"):
        tuner.search(verbose=0)


def test_the_folder_of_another_search_is_refused(make):
    make().search(verbose=0)
    with pytest.raises(ValueError, match="holds a search with another `seed`"):
        make(seed=1)
    with pytest.raises(ValueError, match="another `hypermodel`, `space`"):
        make(Mishaps())
    assert make(seed=1, overwrite=True).oracle.trials == {}


def test_the_folder_of_another_tuner_is_refused(make, tmp_path):
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "oracle.json").write_text("{}")
    with pytest.raises(ValueError, match="the search of another tuner"):
        make()


def test_the_listing_marks_the_best(make, capsys):
    tuner = make(max_trials=4)
    tuner.search()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("val_accuracy: 0.")
    assert "rate: " in lines[0] and "(trial 0 / 4) *" in lines[0]
    scores = [float(line.split()[1].strip(",")) for line in lines]
    for number, line in enumerate(lines):
        is_best = scores[number] == max(scores[: number + 1])
        assert (") *" in line) == (
            is_best and scores[number] not in scores[:number]
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": ("random", "greedy")}, "`stages` must be a sequence"),
        ({"stages": "random"}, "`stages` must be a sequence"),
        ({"epochs": (1,)}, "`epochs` must hold a number"),
        ({"epochs": (1, 0)}, "`epochs` must hold a number"),
        ({"max_trials": 1}, "`max_trials` must be an integer"),
        ({"seed": -1}, "`seed` must be an integer"),
        ({"workers": 0}, "`workers` must be an integer of at least 1"),
        ({"keep_best": -1}, "`keep_best` must be an integer of at least 0"),
        ({"trials_per_process": 0}, "`trials_per_process` must be"),
        ({"workers": 2}, "`workers` must be 1 with `in_process=True`"),
        ({"objective": ["loss", "val_loss"]}, "`objective` must be the name"),
    ],
)
def test_wrong_arguments_are_refused(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_what_builds_nothing_is_refused(make):
    with pytest.raises(TypeError, match="`hypermodel` must be"):
        make(3)


def test_epochs_belong_to_the_tuner(make):
    with pytest.raises(ValueError, match="`epochs` belongs to the tuner"):
        make().search(epochs=3)


def test_state_is_json(searched):
    state = json.loads(Path(searched.project_dir, "oracle.json").read_text())
    assert [stage["kind"] for stage in state["stages"]] == ["random"] * 2
    rate = state["stages"][1]["space"][0]["config"]
    assert 1e-6 < rate["min_value"] < 1e-3 < rate["max_value"] < 1.0
