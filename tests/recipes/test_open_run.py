import pytest

from dropzoo.data.decoding import ImageError
from dropzoo.recipes.open_run import open_run, read_options
from dropzoo.recipes.run_folder import RunFolder
from dropzoo.recipes.train import Config


@pytest.fixture
def config(tmp_path):
    return Config(seed=3, out=str(tmp_path / "run")).decided()


def test_a_new_run_knows_its_verb_and_options(config):
    with open_run("train", config, "x") as (folder, options):
        assert options is config
        assert RunFolder.open(folder.path).verb == "train"
        assert read_options("train", Config, folder) == config


def test_a_stopped_run_goes_on_with_its_own_options(config):
    with open_run("train", config, "x"):
        pass
    with open_run("train", Config(resume=config.out), "x") as (_, options):
        assert options == config


@pytest.mark.parametrize("error", [KeyboardInterrupt, ImageError])
def test_who_can_go_on_is_told_how(config, error):
    with pytest.raises(error, match="dropzoo train --resume .*run` goes on"):
        with open_run("train", config, "x") as (folder, _):
            raise error("photo.png is gone")
    assert folder.path.is_dir()


def test_a_refused_run_leaves_no_folder(config):
    with pytest.raises(ValueError, match="no"):
        with open_run("train", config, "x") as (folder, _):
            raise ValueError("no")
    assert not folder.path.exists()


def test_a_run_of_another_version_is_refused(config):
    with open_run("train", config, "x") as (folder, _):
        folder.write_json("config.json", {"verb": "train", "rate": 3})
    with pytest.raises(ValueError, match="does not hold the options of"):
        with open_run("train", Config(resume=config.out), "x"):
            pass
