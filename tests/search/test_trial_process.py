import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import keras
import pytest
import trained
from landscape import Killing, Landscape
from trained import Trained

from dropzoo.search import CoarseToFine, read_trials
from dropzoo.search.fit_arguments import FitArguments
from dropzoo.search.trial_failure import sentence_of_death
from dropzoo.search.trial_job import TrialJob
from dropzoo.search.trial_process import TrialHere, TrialProcess

PROGRAM = Path(trained.__file__)


def trial_files(project):
    """What the trials of a search have written, by trial."""
    files = Path(project).glob("trial_*/trial.json")
    return {file.parent.name: file.read_text() for file in files}


def search_here(project, hypermodel=None, **options):
    """Searches in this process."""
    x, y = trained.data()
    tuner = trained.make_search(project, hypermodel, in_process=True, **options)
    tuner.search(x, y, validation_data=(x, y), batch_size=16, verbose=0)
    return tuner


def start(project, **environment):
    """Starts the program that searches, with one trial process."""
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), str(project)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow(ci=True)
def test_a_process_that_dies_fails_its_trial_and_the_search_goes_on(tmp_path):
    tuner = CoarseToFine(
        Killing(),
        stages=("grid",),
        epochs=(1,),
        max_trials=3,
        keep_best=0,
        directory=tmp_path,
    )
    tuner.search(verbose=0)
    found = {x.values["way"]: x for x in read_trials(tuner.project_dir)}
    assert found["none"].score == 0.5
    assert found["raise"].message == "ValueError: no such photo"
    assert "killed by SIGKILL; the system does so" in found["kill"].message
    assert {x.status for x in found.values()} == {"COMPLETED", "FAILED"}


def test_deaths_are_told_apart():
    assert "SIGSEGV" in sentence_of_death(-signal.SIGSEGV)
    assert "memory" not in sentence_of_death(-signal.SIGSEGV)
    assert "(code 3)" in sentence_of_death(3)


class Interrupted(Trained):
    """Is interrupted as its first training begins its third epoch."""

    def fit(self, hp, model, *args, callbacks, **options):
        def interrupt(epoch, logs):
            if epoch == 2:
                raise KeyboardInterrupt

        stop = keras.callbacks.LambdaCallback(on_epoch_begin=interrupt)
        return super().fit(
            hp, model, *args, callbacks=[*callbacks, stop], **options
        )


Interrupted.__qualname__ = "Trained"  # as an interrupted program is the same


def test_an_interrupted_trial_goes_on_from_its_last_epoch(tmp_path):
    options = {"max_trials": 1, "stages": ("random",), "epochs": (4,)}
    with pytest.raises(KeyboardInterrupt):
        search_here(tmp_path / "stopped", Interrupted(), **options)
    states = list((tmp_path / "stopped").glob("trial_*/.state/*"))
    assert [x.name for x in sorted(states)] == [
        "step-000000001.safetensors",
        "step-000000002.safetensors",
    ]
    os.environ["KILL_ONCE"] = str(tmp_path / "epochs")
    (tmp_path / "epochs").touch()
    try:
        search_here(tmp_path / "stopped", **options)
    finally:
        del os.environ["KILL_ONCE"]
    assert (tmp_path / "epochs").read_text() == "2 2\n2 3\n"
    search_here(tmp_path / "alone", **options)
    files = trial_files(tmp_path / "stopped")
    assert files == trial_files(tmp_path / "alone")
    assert not list((tmp_path / "stopped").glob("trial_*/.state"))


@pytest.mark.slow
def test_a_killed_search_ends_as_one_left_alone(tmp_path):
    marker = tmp_path / "killed"
    first = start(tmp_path / "first", KILL_ONCE=str(marker))
    first.communicate(timeout=300)
    assert first.returncode == -signal.SIGKILL
    again = start(tmp_path / "first", KILL_ONCE=str(marker))
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    assert marker.read_text().startswith("2 2\n")  # went on with that epoch
    search_here(tmp_path / "alone", max_trials=8)
    assert trial_files(tmp_path / "first") == trial_files(tmp_path / "alone")


@pytest.mark.slow
def test_several_processes_come_to_the_same(tmp_path):
    x, y = trained.data()
    two = trained.make_search(tmp_path / "two", workers=2, max_trials=8)
    two.search(x, y, validation_data=(x, y), batch_size=16, verbose=0)
    search_here(tmp_path / "alone", max_trials=8)
    assert trial_files(tmp_path / "two") == trial_files(tmp_path / "alone")


@pytest.mark.slow
def test_a_chief_gives_the_trial_of_a_killed_worker_to_another(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    marker = tmp_path / "killed"
    project = tmp_path / "shared"
    programs = [
        start(project, CHIEF=address),
        *(
            start(project, CHIEF=address, WORKER=name, KILL_ONCE=str(marker))
            for name in "ab"
        ),
    ]
    outputs = [program.communicate(timeout=500)[0] for program in programs]
    codes = [program.returncode for program in programs]
    assert codes[0] == 0, outputs[0]
    assert sorted(codes[1:]) == [-signal.SIGKILL, 0], outputs
    search_here(tmp_path / "alone", max_trials=8)
    pairs = [
        [(x.trial_id, x.values, x.score, x.status) for x in read_trials(folder)]
        for folder in (project, tmp_path / "alone")
    ]
    assert pairs[0] == pairs[1]


def test_what_cannot_be_pickled_is_refused(tmp_path):
    class Local(Landscape):
        pass

    tuner = CoarseToFine(Local(), directory=tmp_path)
    with pytest.raises(TypeError, match="at the top level of a module"):
        tuner.search()


def test_a_place_without_a_trial_has_no_news():
    here = TrialHere(Landscape(), FitArguments((), {}))
    assert here.proceed(lambda *news: True) is None
    assert TrialProcess(b"").proceed(lambda *news: True) is None


@pytest.mark.slow
def test_a_hypermodel_that_cannot_be_imported_is_told(tmp_path):
    luggage = b"cno_such_module\nName\n."  # a pickle that names a class
    place = TrialProcess(luggage)
    job = TrialJob({"space": [], "values": {}}, ("a", "max"), tmp_path, 0, 1)
    place.start(job)
    outcome = place.proceed(lambda *news: True)
    place.close()
    assert "must be importable" in outcome.fatal
    assert "no_such_module" in outcome.fatal
