"""What the report of a search draws, read back from its elements."""

import json
import re
from dataclasses import replace

import keras_tuner
import numpy as np
import pytest

from dropzoo.search import TrialRecord, write_search_report
from dropzoo.search.best_so_far import best_section
from dropzoo.search.parallel_coordinates import parallel_section
from dropzoo.search.score_axis import num_beyond, score_axis
from dropzoo.search.score_scatter import scatter_section
from dropzoo.search.search_record import SearchRecord, StageRecord
from dropzoo.search.stage_ranges import stages_section
from dropzoo.search.trial_table import sentence, table_section
from dropzoo.search.tuned_parameter import TunedParameter

RATE = TunedParameter("rate", (1e-4, 1e-2), log=True)
KIND = TunedParameter("kind", choices=("a", "b"))
DASH = "\N{EN DASH}"


def trial(number, score, stage=1, status="COMPLETED", message=None, **values):
    return TrialRecord(
        f"{number:02d}", stage, values, score, status, 2, 90.0, message
    )


@pytest.fixture
def record():
    """Three trials with a score, one of them without `rate`, and a failure."""
    trials = [
        trial(0, 0.5, rate=1e-4, kind="a"),
        trial(1, None, 1, "FAILED", "It diverged.", rate=1e-2, kind="b"),
        trial(2, 0.9, 2, rate=1e-3, kind="b"),
        trial(3, 0.7, 2, kind="a"),
    ]
    return SearchRecord(trials, [RATE, KIND], "val_accuracy", True)


def every(section, tag, class_):
    return [
        found
        for part in section
        for found in part.iter(tag)
        if class_ in found.get("class", "").split()
    ]


def places(line):
    return [tuple(map(float, p.split(","))) for p in line.get("points").split()]


def text_of(section):
    return " ".join("".join("".join(e.itertext()) for e in section).split())


def test_a_line_leads_from_the_settings_to_the_score(record):
    *others, best = every(parallel_section(record), "polyline", "trial")
    assert best.findtext("title") == "Trial 02: 0.9"
    assert best.get("style") == "--share:1.000"
    top, bottom = 58, 58 + 280
    (_, rate), (_, kind), (_, score) = places(best)
    # The middle of the logarithmic range, above the place of absent ones.
    share = 0.14 + 0.86 * 0.5
    assert rate == pytest.approx(bottom - 280 * share, abs=0.1)
    assert kind < (top + bottom) / 2
    assert score == min(places(line)[2][1] for line in [*others, best])


def test_what_a_trial_lacks_is_drawn_below_the_axis(record):
    section = parallel_section(record)
    lines = every(section, "polyline", "trial")
    told = {line.findtext("title"): places(line) for line in lines}
    assert told["Trial 03: 0.7"][0][1] > told["Trial 00: 0.5"][0][1]
    assert told["Trial 01: no score"][2][1] > told["Trial 00: 0.5"][2][1]
    assert len(every(section, "polyline", "failed")) == 1
    texts = [text.text for text in section[1].iter("text")]
    assert texts.count(DASH) == 2  # of the rate and of the score


def test_axes_and_their_names_keep_apart():
    names = [f"{'parameter' * 3}_{i}" for i in range(12)]
    parameters = [TunedParameter(name, (0.0, 1.0)) for name in names]
    values = dict.fromkeys(names, 0.5)
    wide = SearchRecord([trial(0, 0.5, **values)], parameters, "score", True)
    names = every(parallel_section(wide), "text", "name")
    spans = {}
    for name in names:
        half = len(name.text) * 6.9 / 2
        level = spans.setdefault(name.get("y"), [])
        level.append((float(name.get("x")) - half, float(name.get("x")) + half))
    assert len(spans) == 2
    for level in spans.values():
        assert level[0][0] >= 0
        for (_, right), (left, _) in zip(level, level[1:], strict=False):
            assert right < left


def test_points_stand_over_their_value_and_failures_at_the_foot(record):
    section = scatter_section(record)
    figures = [f for part in section for f in part.iter("figure")]
    assert len(figures) == 2
    rates = {
        dot.findtext("title"): (float(dot.get("cx")), float(dot.get("cy")))
        for dot in figures[0].iter("circle")
    }
    assert len(rates) == 3 and len(every(section, "path", "failed")) == 2
    without, low, middle = sorted(rates, key=lambda name: rates[name][0])
    assert [without, low] == ["Trial 03: 0.7", "Trial 00: 0.5"]
    assert middle == "Trial 02: 0.9"
    assert rates[middle][1] < rates[without][1] < rates[low][1]


def test_losses_that_exploded_do_not_press_the_others_flat():
    losses = [*np.linspace(0.5, 0.6, 20), 1e9]
    trials = [trial(i, loss, rate=1e-3) for i, loss in enumerate(losses)]
    record = SearchRecord(trials, [RATE], "val_loss", False)
    axis = score_axis(record)
    assert axis.parameter.ends[1] < 1 and num_beyond(axis, record) == 1
    assert "1 trial is so much worse" in text_of(scatter_section(record))
    assert "e+" not in str(
        places(every(best_section(record), "polyline", "best")[0])
    )


def test_the_best_so_far_never_gets_worse(record):
    for maximized in (True, False):
        section = best_section(replace(record, maximized=maximized))
        over_trials, over_time = every(section, "polyline", "best")
        for line in (over_trials, over_time):
            heights = [y for _, y in places(line)]
            assert heights == sorted(heights, reverse=maximized)
            assert len(set(heights)) == (2 if maximized else 1)
    assert "minutes spent in trials" in text_of(section)


def test_unknown_times_are_said_to_be_unknown(record):
    trials = [replace(t, seconds=0.0) for t in record.trials]
    said = text_of(best_section(replace(record, trials=trials)))
    assert "How long the trials took is not told." in said


def test_ranges_of_the_stages_lie_where_they_are(record):
    narrow = TunedParameter("rate", (1e-3, 1e-2), log=True)
    stages = [
        StageRecord("random", 1, [RATE, KIND]),
        StageRecord("bayesian", 5, [narrow]),
    ]
    section = stages_section(replace(record, stages=stages))
    first, second = every(section, "div", "range")[:2]
    assert first.find("i").get("style") == "left:0.0%;width:100.0%"
    assert second.find("i").get("style") == "left:50.0%;width:50.0%"
    rows = section[1].findall(".//tbody/tr")
    texts = [["".join(cell.itertext()) for cell in row] for row in rows]
    assert texts[0] == ["rate", "", "1e-4 to 0.01", "0.001 to 0.01"]
    assert texts[1] == ["kind", "", "a, b", DASH]
    assert stages_section(record) == []


def test_trials_are_listed_best_first_and_failures_last(record):
    rows = table_section(record)[0].findall(".//tbody/tr")
    texts = [["".join(cell.itertext()) for cell in row] for row in rows]
    assert [row[1] for row in texts] == ["0.9", "0.7", "0.5", "failed"]
    assert texts[3][0] == "01It diverged."
    assert texts[1][-2:] == [DASH, "a"]


def test_of_a_traceback_the_last_line_is_told():
    assert sentence("Traceback:\n  file\nValueError: too high\n\n") == (
        "ValueError: too high"
    )
    assert len(sentence("x" * 1000)) == 300


class Search(keras_tuner.RandomSearch):
    def run_trial(self, trial):
        rate = trial.hyperparameters.Float("<b>rate", 0.0, 1.0)
        if rate > 0.5:
            raise keras_tuner.errors.FailedTrialError("<script>1</script>")
        return {"val_accuracy": rate}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    search = Search(
        objective=keras_tuner.Objective("val_accuracy", "max"),
        max_trials=12,
        seed=0,
        directory=folder,
        project_name="p",
        max_consecutive_failed_trials=99,
    )
    search.search()
    return folder / "p"


def test_any_project_of_kerastuner_has_a_report(project):
    path = write_search_report(project, title="<i>Mine")
    page = path.read_text("utf-8")
    assert path == project / "search.html"
    keys = re.findall(r'<section id="(\w+)"', page)
    assert keys == [
        "result",
        "together",
        "progress",
        "importance",
        "parameters",
        "trials",
    ]
    assert "<h1>&lt;i&gt;Mine</h1>" in page
    assert "<script" not in page and "<b>rate" not in page
    assert "&lt;script&gt;1" in page


def test_a_search_of_failures_alone_says_so(project, tmp_path):
    (tmp_path / "trial_0").mkdir()
    failed = next(
        text
        for file in sorted(project.glob("trial_*/trial.json"))
        if '"FAILED"' in (text := file.read_text())
    )
    (tmp_path / "trial_0" / "trial.json").write_text(failed)
    state = json.loads((project / "oracle.json").read_text())
    (tmp_path / "oracle.json").write_text(json.dumps(state))
    page = write_search_report(tmp_path).read_text("utf-8")
    assert "None of 1 trials that ended has a score." in page
    (tmp_path / "trial_0" / "trial.json").unlink()
    page = write_search_report(tmp_path).read_text("utf-8")
    assert "No trial has ended yet." in page
    assert "No trial has begun yet." in page


def test_a_missing_folder_is_named(project, tmp_path):
    with pytest.raises(FileNotFoundError, match="folder of `path` must exist"):
        write_search_report(project, tmp_path / "absent" / "search.html")
    with pytest.raises(ValueError, match="`project` must be the folder"):
        write_search_report(tmp_path)
