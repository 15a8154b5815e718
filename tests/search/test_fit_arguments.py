import pickle

import numpy as np
import pytest

from dropzoo.search.fit_arguments import FitArguments

X = np.arange(12.0).reshape(4, 3)


def make_data():
    return X + 1


def test_arrays_reach_a_process_through_files(tmp_path):
    arguments = FitArguments((X, {"a": X}), {"validation_data": (X, [X, 3])})
    packed = pickle.loads(pickle.dumps(arguments.in_files(tmp_path)))
    assert len(list(tmp_path.iterdir())) == 4
    (x, y), named = packed.open()
    assert isinstance(x, np.memmap)
    for found in (x, y["a"], *named["validation_data"][:1]):
        np.testing.assert_array_equal(found, X)
    assert named["validation_data"][1][1] == 3
    assert isinstance(named["validation_data"], tuple)


def test_functions_make_the_data_anew():
    arguments = FitArguments((make_data,), {"validation_data": make_data})
    (x,), named = arguments.open()
    np.testing.assert_array_equal(x, X + 1)
    np.testing.assert_array_equal(named["validation_data"], X + 1)
    assert FitArguments((), {"x": make_data}).open()[1]["x"] is not make_data


def test_only_arrays_know_no_past():
    assert FitArguments((X, X), {}).are_arrays
    assert FitArguments((), {"x": [X, X]}).are_arrays
    assert not FitArguments((make_data,), {}).are_arrays
    assert not FitArguments((), {}).are_arrays


def test_a_dataset_is_refused(tmp_path):
    tensorflow = pytest.importorskip("tensorflow")
    dataset = tensorflow.data.Dataset.range(3)
    with pytest.raises(TypeError, match="give `search` a function"):
        FitArguments((dataset,), {}).in_files(tmp_path)
