import pytest

from dropzoo.recipes.run_folder import RunFolder
from dropzoo.recipes.trained_on import TrainedOn, read_trained_on


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run", "train")


def test_it_is_read_from_the_options_of_any_recipe(folder):
    found = {"data": "digits", "data_dir": None, "seed": 3, "limit": 40}
    folder.write_json("config.json", {"verb": "train", **found, "rate": 0.1})
    assert read_trained_on(folder) == TrainedOn(**found)


@pytest.mark.parametrize("options", [[], {"data": "digits"}])
def test_other_options_are_refused(folder, options):
    folder.write_json("config.json", options)
    with pytest.raises(ValueError, match="the options of `dropzoo train`"):
        read_trained_on(folder)
