"""The main job, end to end, on tiny photos and a tiny network."""

import csv
import dataclasses
import html.parser
import importlib
import json
import shutil
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest

from dropzoo import cli
from dropzoo.callbacks import ProgressBar
from dropzoo.evaluation.folds import NUM_FOLDS
from dropzoo.models import create_model, starting_point
from dropzoo.recipes import fine_tuning, finetune
from dropzoo.recipes.open_run import read_options
from dropzoo.recipes.options import command
from dropzoo.recipes.run_folder import RunFolder

FILES = {
    "config.json",
    "history.csv",
    "labels.json",
    "metrics.json",
    "model.keras",
    "report.html",
}
CLASSES = ["horizontal", "slanted", "vertical"]


@pytest.fixture(scope="module")
def wrecking_options(photos) -> dict:
    """k-fold on 51 photos, at a rate that no network survives."""
    return {
        "data": str(photos),
        "model": "tiny",
        "weights": "random",
        "epochs": 4,
        "peak_rate": 0.5,
        "batch_size": 10,
        "augmentation": "none",
    }


@pytest.fixture(scope="module")
def wrecked_run(wrecking_options, tmp_path_factory) -> finetune.Result:
    out = tmp_path_factory.mktemp("runs") / "wrecked"
    return finetune.run(finetune.Config(**wrecking_options, out=str(out)))


@pytest.fixture(scope="module")
def head_run(photos, tmp_path_factory) -> finetune.Result:
    """A real network with its ImageNet weights, of which the head is fitted."""
    out = tmp_path_factory.mktemp("runs") / "head"
    return finetune.run(
        finetune.Config(
            data=str(photos), image_size=32, freeze="all", out=str(out)
        )
    )


def run(options: dict, out: Path, **changes) -> finetune.Result:
    return finetune.run(
        finetune.Config(**{**options, **changes, "out": str(out)})
    )


def read_json(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


def saved_weights(folder: Path) -> dict[str, np.ndarray]:
    """Weights of the network in a run's saved model, by layer."""
    model = starting_point.load_saved_model(folder / "model.keras")
    network = starting_point.network_of(model)
    return {
        f"{layer.name}/{number}": value
        for layer in network.layers
        for number, value in enumerate(layer.get_weights())
    }


def assert_same_weights(one: Path, other: Path) -> None:
    ours, theirs = saved_weights(one), saved_weights(other)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)


# What is kept.


@pytest.mark.parametrize(
    "name",
    [
        "tuned_run",
        "wrecked_run",
        pytest.param("head_run", marks=pytest.mark.slow(ci=True)),
    ],
)
def test_the_folder_holds_the_six_files_and_nothing_else(name, request):
    folder = request.getfixturevalue(name).folder
    assert {path.name for path in folder.iterdir()} == FILES
    assert read_json(folder / "labels.json") == CLASSES


@pytest.mark.slow(ci=True)
def test_the_saved_model_needs_keras_alone(tuned_run):
    source = f"""
import sys
import keras
import numpy as np
model = keras.saving.load_model({str(tuned_run.folder / "model.keras")!r})
rng = np.random.default_rng(0)
for shape in [(1, 40, 70, 3), (2, 100, 33, 3)]:
    photos = rng.integers(0, 256, shape, dtype=np.uint8)
    print(*model.predict(photos, verbose=0).sum(axis=1))
print([name for name in sys.modules if name.split(".")[0] == "dropzoo"])
"""
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        check=True,
    )
    *sums, imported = done.stdout.splitlines()
    values = [float(word) for line in sums for word in line.split()]
    np.testing.assert_allclose(values, [1, 1, 1], atol=1e-6)
    assert imported == "[]"


def test_the_saved_model_holds_no_optimizer(tuned_run):
    network = starting_point.network_of(
        starting_point.load_saved_model(tuned_run.folder / "model.keras")
    )
    assert not network.compiled


def test_the_options_come_back_from_config_json(tuned_run, tuned_options):
    read = read_options(
        "finetune", finetune.Config, RunFolder.open(tuned_run.folder)
    )
    assert read == finetune.Config(**tuned_options, out=str(tuned_run.folder))


def test_metrics_json_tells_what_the_result_tells(tuned_run):
    metrics = read_json(tuned_run.folder / "metrics.json")
    assert metrics["test"]["accuracy"] == tuned_run.accuracy
    assert metrics["test"]["num_examples"] == 24
    assert metrics["test_head_only"]["accuracy"] == tuned_run.probe_accuracy
    assert metrics["seconds"] == tuned_run.seconds
    assert list(metrics["seconds"]) == [
        "Data",
        "Model",
        "Sanity",
        "Probe",
        "Fine-tune",
        "Evaluate",
        "Keep",
    ]
    assert metrics["data"]["counts"] == {
        "train": [20] * 3,
        "validation": [20] * 3,
        "test": [8] * 3,
    }


def test_the_history_has_a_row_for_each_epoch(tuned_run):
    with (tuned_run.folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert {row["phase"] for row in rows} == {"fine-tune"}
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert all(float(row[name]) >= 0 for row in rows)


class References(html.parser.HTMLParser):
    """Collects what a page would fetch, and its scripts."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.found += ["script"] * (tag == "script")
        for name, value in attributes:
            if name in ("src", "href", "srcset", "data", "action"):
                if not value.startswith(("#", "data:")):
                    self.found.append(value)


@pytest.mark.parametrize("name", ["tuned_run", "wrecked_run"])
def test_the_report_fetches_nothing(name, request):
    page = (request.getfixturevalue(name).folder / "report.html").read_text()
    references = References()
    references.feed(page)
    assert references.found == []
    assert "@import" not in page
    assert "url(" not in page
    assert "dropzoo finetune --data" in page


# What is chosen.


def test_fine_tuning_that_helps_is_kept(tuned_run):
    verdict = read_json(tuned_run.folder / "metrics.json")["verdict"]
    assert tuned_run.kept == "fine-tuned"
    assert verdict["judged_on"] == (
        "60 validation photos, each as it is and varied,"
    )
    assert verdict["tuned_loss"] < verdict["head_loss"]


def test_a_wrecked_network_is_not_kept(wrecked_run):
    verdict = read_json(wrecked_run.folder / "metrics.json")["verdict"]
    assert wrecked_run.kept == "head only"
    assert verdict["judged_on"] == f"51 held-out photos of {NUM_FOLDS} folds"
    assert not verdict["tuned_loss"] < verdict["head_loss"]
    assert wrecked_run.accuracy == wrecked_run.probe_accuracy
    page = (wrecked_run.folder / "report.html").read_text()
    assert "Kept: the head alone." in page


@pytest.mark.slow(ci=True)
def test_freezing_everything_keeps_the_pretrained_backbone(head_run):
    assert head_run.kept == "head only"
    pretrained = starting_point.from_catalogue(
        "efficientnet_lite0", "imagenet", 32
    ).backbone
    saved = saved_weights(head_run.folder)
    for layer in pretrained.layers:
        for number, value in enumerate(layer.get_weights()):
            name = f"{layer.name}/{number}"
            np.testing.assert_array_equal(saved[name], value, err_msg=name)
    verdict = read_json(head_run.folder / "metrics.json")["verdict"]
    assert verdict["tuned_loss"] is None


@pytest.mark.slow(ci=True)
def test_a_level_stays_as_it_was(tuned_options, tmp_path):
    import keras

    result = run(tuned_options, tmp_path / "run", freeze="stride_2")
    assert result.kept == "fine-tuned"
    keras.utils.set_random_seed(0)  # the weights that the run started from
    start = starting_point.from_catalogue("tiny", None, None).backbone
    saved = saved_weights(result.folder)
    before = {x.name: x.get_weights() for x in start.layers if x.weights}
    np.testing.assert_array_equal(saved["conv1/0"], before["conv1"][0])
    assert np.abs(saved["conv2/0"] - before["conv2"][0]).max() > 1e-3


class Noted(fine_tuning.ExactResume):
    """Notes what trains in each stage, and interrupts the last of them."""

    seen: list[tuple[str, list[str]]]
    stop: int | None

    def fit(self, network, *args, **options):
        self.seen.append((self.directory.name, trained_layers(network)))
        if len(self.seen) == self.stop:
            raise KeyboardInterrupt
        return super().fit(network, *args, **options)


@pytest.fixture
def stages_until(monkeypatch):
    """Begins to note stages, up to the one that is interrupted."""

    def begin(stop=None):
        monkeypatch.setattr(Noted, "seen", [], raising=False)
        monkeypatch.setattr(Noted, "stop", stop, raising=False)
        monkeypatch.setattr(fine_tuning, "ExactResume", Noted)
        return Noted.seen

    return begin


IN_STAGES = {"freeze": "none", "thaw_share": 0.5, "epochs": 2}


@pytest.mark.slow(ci=True)
def test_levels_are_thawed_one_after_the_other(
    tuned_options, tmp_path, stages_until
):
    seen = stages_until()
    run(tuned_options, tmp_path / "run", **IN_STAGES)
    assert seen[-2:] == [
        ("stride_2", ["conv2", "logits"]),
        ("none", ["conv1", "conv2", "logits"]),
    ]


@pytest.mark.slow(ci=True)
def test_a_run_stopped_between_levels_goes_on(
    tuned_options, tmp_path, stages_until
):
    seen = stages_until()
    result = run(tuned_options, tmp_path / "run", **IN_STAGES)
    stages_until(stop=len(seen))
    with pytest.raises(KeyboardInterrupt):
        run(tuned_options, tmp_path / "stopped", **IN_STAGES)
    stages_until()
    finetune.run(finetune.Config(resume=str(tmp_path / "stopped")))
    assert_same_weights(tmp_path / "stopped", result.folder)


def trained_layers(network):
    return [layer.name for layer in network.layers if layer.trainable_weights]


def test_a_run_starts_from_an_earlier_one(tuned_run, photos, tmp_path, capsys):
    result = finetune.run(
        finetune.Config(
            data=str(photos),
            weights=str(tuned_run.folder),
            freeze="all",
            out=str(tmp_path / "run"),
        )
    )
    assert "Loaded the backbone of" in capsys.readouterr().err
    ours, theirs = map(saved_weights, (result.folder, tuned_run.folder))
    np.testing.assert_array_equal(ours["conv1/0"], theirs["conv1/0"])
    assert (ours["logits/0"] != theirs["logits/0"]).any()


# What repeats.


@pytest.mark.slow(ci=True)
def test_the_same_seed_gives_the_same_result(
    tuned_run, tuned_options, tmp_path
):
    again = run(tuned_options, tmp_path / "again")
    assert_same_weights(again.folder, tuned_run.folder)
    ours, theirs = (
        read_json(folder / "metrics.json")
        for folder in (again.folder, tuned_run.folder)
    )
    assert ours["test"] == theirs["test"]
    assert ours["verdict"] == theirs["verdict"]


def press_ctrl_c_in_a_weakref_callback() -> None:
    """Where an exception of Python's own handler would be lost."""

    class Thing:
        pass

    thing = Thing()
    watch = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
    del thing
    assert watch() is None


def after_batch(monkeypatch, number: int, happen) -> None:
    """Lets something happen after the n-th batch of a training."""
    advance = ProgressBar.on_train_batch_end
    seen = []

    def act(self, batch, logs=None):
        advance(self, batch, logs)
        seen.append(batch)
        if len(seen) == number:
            happen()

    monkeypatch.setattr(ProgressBar, "on_train_batch_end", act)


def interrupted(options: dict, out: Path, monkeypatch, batch: int) -> str:
    """The sentence that an interrupted run leaves."""
    with monkeypatch.context() as patch:
        after_batch(patch, batch, press_ctrl_c_in_a_weakref_callback)
        with pytest.raises(KeyboardInterrupt) as stop:
            run(options, out)
    assert not (out / "metrics.json").exists()
    return str(stop.value)


def test_a_resumed_run_ends_as_one_left_alone(
    tuned_run, tuned_options, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "a run"
    # In the second batch of the second epoch.
    sentence = interrupted(tuned_options, out, monkeypatch, batch=8)
    assert f"dropzoo finetune --resume '{out}'" in sentence
    assert cli.main(["finetune", "--resume", str(out)]) == 0
    output = capsys.readouterr()
    assert output.out == f"{out}\n"
    assert "Kept: the fine-tuned network. On 60 validation" in output.err
    assert_same_weights(out, tuned_run.folder)
    assert (out / "history.csv").read_bytes() == (
        tuned_run.folder / "history.csv"
    ).read_bytes()
    assert {path.name for path in out.iterdir()} == FILES


@pytest.mark.slow(ci=True)
def test_a_run_stopped_between_folds_goes_on(
    wrecked_run, wrecking_options, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "run"
    in_first_fold = 51 * (NUM_FOLDS - 1) // NUM_FOLDS // 10  # batches
    interrupted(wrecking_options, out, monkeypatch, batch=in_first_fold + 1)
    finetune.run(finetune.Config(resume=str(out)))
    assert "Kept: the head alone. On 51 held-out" in capsys.readouterr().err
    verdicts = [
        read_json(folder / "metrics.json")["verdict"]
        for folder in (out, wrecked_run.folder)
    ]
    assert verdicts[0] == verdicts[1]


@pytest.mark.slow(ci=True)
def test_a_photo_that_vanishes_is_named_and_the_run_goes_on(
    tuned_run, tuned_options, split_photos, tmp_path, monkeypatch, refusal
):
    photos = shutil.copytree(split_photos, tmp_path / "photos")
    photo = photos / "train" / "vertical" / "007.png"
    hidden, out = tmp_path / "hidden.png", tmp_path / "run"
    options = {**tuned_options, "data": str(photos), "out": str(out)}
    words = [
        word
        for name, value in options.items()
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    with monkeypatch.context() as patch:
        # In the second epoch; the third one misses the photo.
        after_batch(patch, 8, lambda: photo.rename(hidden))
        sentence = refusal("finetune", *words)
    assert sentence == (
        "dropzoo finetune: 'train/vertical/007.png': it cannot be read: No "
        "such file or directory; put it back as it was, and `dropzoo finetune "
        f"--resume {out}` goes on."
    )
    hidden.rename(photo)
    finetune.run(finetune.Config(resume=str(out)))
    assert_same_weights(out, tuned_run.folder)


@pytest.mark.parametrize("step", ["sanity.check_start", "keeping.measure"])
def test_a_photo_that_breaks_leaves_a_run_that_goes_on(
    step, photos, tmp_path, monkeypatch, refusal
):
    """Even where the run folder holds its options only."""
    photos = shutil.copytree(photos, tmp_path / "photos")
    module, name = step.split(".")
    module = importlib.import_module(f"dropzoo.recipes.{module}")
    act = getattr(module, name)

    def break_first(*args, **kwargs):
        for photo in photos.rglob("*.png"):
            photo.write_bytes(photo.read_bytes()[:100])
        return act(*args, **kwargs)

    monkeypatch.setattr(module, name, break_first)
    out = tmp_path / "run"
    words = "--data", photos, "--model", "tiny", "--weights", "random"
    sentence = refusal(
        "finetune", *map(str, words), "--freeze", "all", "--out", str(out)
    )
    assert ".png': it is truncated: its end is missing; put it back" in sentence
    assert (out / "config.json").exists()


# What is refused.


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--resume", "{run}"], "must be a run that was stopped"),
        (["--resume", "{run}", "--seed", "3"], "no other option"),
        (["--resume", "{tmp}"], "There is no run in"),
        (["--out", "{run}"], "`out` must not exist yet"),
        (["--out", "/dev/null/run"], "must be a folder that can be written"),
        (["--weights", "{tmp}"], "There is no run in"),
    ],
)
def test_a_mistake_is_told_before_tensorflow_starts(
    words, sentence, tuned_run, tmp_path, monkeypatch, refusal
):
    monkeypatch.setattr(
        finetune, "announced_start", lambda: pytest.fail("TensorFlow started")
    )
    places = {"run": tuned_run.folder, "tmp": tmp_path}
    assert sentence in refusal("finetune", *(w.format(**places) for w in words))


def test_such_a_mistake_is_told_within_a_second(tuned_run):
    """The best of several runs sets a busy machine aside."""
    words = ["--resume", str(tuned_run.folder)]
    seconds = []
    while len(seconds) < 3 or (min(seconds) > 1 and len(seconds) < 10):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "dropzoo", "finetune", *words],
            capture_output=True,
        )
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 2
    assert min(seconds) <= 1


def test_resuming_a_complete_run_is_refused(tuned_run, refusal):
    folder = str(tuned_run.folder)
    sentence = refusal("finetune", "--resume", folder)
    assert "must be a run that was stopped" in sentence
    assert f"dropzoo evaluate {folder}" in sentence


def test_resuming_with_other_options_is_refused(tuned_run, refusal):
    words = "--resume", str(tuned_run.folder), "--epochs", "3"
    assert "no other option" in refusal("finetune", *words)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is damaged"),
        ('{"data": "digits"}', "does not hold the options"),
        ("[]", "does not hold the options"),
    ],
)
def test_a_damaged_config_is_refused(content, sentence, tmp_path, refusal):
    (tmp_path / "config.json").write_text(content)
    assert sentence in refusal("finetune", "--resume", str(tmp_path))


def test_an_existing_folder_is_left_alone(photos, tmp_path, refusal):
    (tmp_path / "letter.txt").write_text("dear")
    words = "--data", str(photos), "--out", str(tmp_path)
    assert "`out` must not exist yet" in refusal("finetune", *words)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--freeze", "stride_3"], "must be a level of tiny (stride_2, "),
        (["--freeze", "conv9"], "or the name or pattern of a layer"),
        (
            ["--freeze", "conv2", "--thaw-share", "0.5"],
            "must be one of none, stride_2",
        ),
        (["--thaw-share", "1"], "`thaw_share` must be in [0, 1)"),
        (["--data", "nowhere/at/all"], "there is no folder"),
        (["--model", "tinny"], "did you mean 'tiny'?"),
        (["--weights", "imagenet"], "a tag that tiny has"),
        (["--limit", "2"], "`limit` must be at least 3"),
    ],
)
def test_a_mistake_is_refused_before_training_and_leaves_nothing(
    words, sentence, photos, tmp_path, refusal, monkeypatch
):
    monkeypatch.setattr(
        "dropzoo.recipes.fine_tuning.FineTuning.fit",
        lambda *args, **kwargs: pytest.fail("it trained"),
    )
    out = tmp_path / "run"
    base = ["--data", str(photos), "--model", "tiny", "--weights", "random"]
    assert sentence in refusal("finetune", *base, "--out", str(out), *words)
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--batch-size", "0"], "`batch_size` must be at least 1"),
        (["--epochs", "0"], "`epochs` must be at least 1"),
        (["--limit", "-3"], "`limit` must be at least 1"),
        (["--image-size", "0"], "`image_size` must be at least 1"),
        (["--peak-rate", "1"], "`peak_rate` must be in (0, 1)"),
        (["--peak-rate", "nan"], "`peak_rate` must be in (0, 1)"),
        (["--seed", "-1"], "`seed` must be in [0, 2**31)"),
        (["--epoch", "3"], "did you mean `--epochs`?"),
        (["--augmentation", "wild"], "('none', 'light', 'strong')"),
    ],
)
def test_a_bad_option_is_one_sentence(words, sentence, refusal):
    assert sentence in refusal("finetune", *words)


def test_the_command_repeats_the_run(tuned_options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = finetune.Config(**tuned_options, out="runs/a b")
    words = command("finetune", config).split()
    assert words[:2] == ["dropzoo", "finetune"]
    assert "--out" not in words
    expected = dataclasses.replace(config, out=None)
    read = []
    result = finetune.Result(tmp_path, "head only", None, None, {})
    monkeypatch.setattr(
        finetune, "_run", lambda config, folder: read.append(config) or result
    )
    assert finetune.main(words[2:]) == 0
    assert read == [expected]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "groceries-efficientnet_lite0"),
        ({"data": "folder:a/b c", "model": "tiny"}, "b c-tiny"),
        ({"weights": "{run}"}, "groceries-tiny"),
        ({"weights": "{stopped}"}, "groceries-efficientnet_lite0"),
    ],
)
def test_a_run_is_named_after_its_data_and_its_network(
    options, name, tuned_run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    stopped = shutil.copytree(tuned_run.folder, tmp_path / "stopped")
    (stopped / "metrics.json").unlink()  # between the model and the report
    places = {"run": tuned_run.folder, "stopped": stopped}
    given = {key: value.format(**places) for key, value in options.items()}
    for number in ("", "-2"):
        with finetune._open(finetune.Config(**given)) as (folder, _):
            assert folder.path == Path("runs") / f"{name}{number}"


@pytest.mark.parametrize(
    ("photos", "epochs"), [(10, 16), (1500, 16), (3000, 8), (10**6, 4)]
)
def test_more_photos_take_fewer_epochs(photos, epochs):
    assert finetune.default_epochs(photos) == epochs


@pytest.mark.parametrize(
    ("weights", "expected"), [("imagenet", "stride_4"), ("random", "none")]
)
def test_the_finest_levels_stay_where_they_are_pretrained(weights, expected):
    network = create_model("efficientnet_lite0", input_shape=(64, 64, 3))
    assert finetune.default_freeze(network, weights) == expected


def test_nothing_is_frozen_by_default_where_the_level_is_missing():
    inputs = keras.Input((8, 8, 3))
    network = keras.Model(inputs, keras.layers.Conv2D(2, 3, strides=2)(inputs))
    assert finetune.default_freeze(network, "imagenet") == "none"
