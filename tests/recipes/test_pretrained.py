import pytest

from dropzoo.recipes.pretrained import starting_point


def test_a_folder_called_like_weights_is_not_mistaken_for_a_run(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "random").mkdir()
    start = starting_point("tiny", "random", None, "tiny")
    assert start.loaded == "Random weights."


def test_another_network_than_that_of_the_earlier_run_is_refused(tuned_run):
    weights = str(tuned_run.folder)
    with pytest.raises(ValueError, match="the earlier run in `weights`, tiny"):
        starting_point("mobilenet_v2", weights, None, "efficientnet_lite0")


def test_another_size_than_that_of_the_earlier_run_is_refused(tuned_run):
    weights = str(tuned_run.folder)
    with pytest.raises(ValueError, match="that of the earlier run, 32"):
        starting_point("tiny", weights, 64, "tiny")
