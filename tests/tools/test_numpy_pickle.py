"""Pickles of arrays, honest and not."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy_pickle import read_arrays


class Call:
    """A call of any function, made when the pickle is read."""

    def __init__(self, function, *arguments):
        self.parts = function, arguments

    def __reduce__(self):
        return self.parts


class Stated:
    """What NumPy pickles for an array, with a state of our own."""

    def __init__(self, state):
        self.state = state

    def __reduce__(self):
        maker, arguments, _ = np.zeros(1, "f4").__reduce__()
        return maker, arguments, self.state


@pytest.fixture
def write(tmp_path):
    def write(content, protocol=3):
        path = tmp_path / "weights.pkl"
        path.write_bytes(pickle.dumps(content, protocol=protocol))
        return path

    return write


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<i8"])
def test_arrays_come_back_under_their_names(write, dtype, protocol):
    arrays = {
        "conv1": [np.arange(24).reshape(2, 3, 4), np.ones(3)],
        "conv2": [np.asfortranarray(np.arange(6).reshape(2, 3))],
    }
    arrays = {
        name: [array.astype(dtype) for array in group]
        for name, group in arrays.items()
    }
    if protocol == 2:  # which writes bytes as a text and a call to encode it
        with pytest.raises(ValueError, match="Refused .*encode"):
            read_arrays(write(arrays, protocol))
        return
    read = read_arrays(write(arrays, protocol))
    assert list(read) == list(arrays)
    for name, group in arrays.items():
        for one, other in zip(read[name], group, strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype


def test_a_program_in_the_file_is_not_executed(write, tmp_path):
    marker = tmp_path / "executed"
    path = write({"conv1": [Call(os.mkdir, str(marker))]})
    with pytest.raises(ValueError, match=r"Refused to read .*mkdir`.*arrays"):
        read_arrays(path)
    assert not marker.exists()
    # The test notices execution: trusted, the file does execute.
    pickle.loads(path.read_bytes())
    assert marker.exists()


@pytest.mark.parametrize(
    "function", [eval, getattr, np.load, np.frombuffer, np.fromfile]
)
def test_other_functions_are_refused(write, function):
    with pytest.raises(ValueError, match=f"Refused .*{function.__name__}"):
        read_arrays(write({"conv1": [Call(function, "1")]}))


def test_objects_are_refused(write):
    array = np.array([Path("a"), None], dtype=object)
    with pytest.raises(ValueError, match="not a whole pickle.*type of numbers"):
        read_arrays(write({"conv1": [array]}))


F4 = np.dtype("f4")


@pytest.mark.parametrize(
    "state",
    [
        (1, (2,), F4, False, b"\0" * 4),
        (1, (-1,), F4, False, b"\0" * 4),
        (1, (10**12,), F4, False, b""),
        (1, (1,), F4, False, "text"),
        (1, (1,), "f4", False, b"\0" * 4),
        (1,),
        None,
    ],
)
def test_a_state_that_does_not_fit_is_refused(write, state):
    with pytest.raises(ValueError, match="not a whole pickle"):
        read_arrays(write({"conv1": [Stated(state)]}))


@pytest.mark.parametrize("content", [3, [1], {"a": 1}, {"a": [1]}, {"a": "b"}])
def test_other_contents_are_refused(write, content):
    with pytest.raises(ValueError, match="not a whole pickle"):
        read_arrays(write(content))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_a_file_that_is_cut_off_is_refused(write, share):
    path = write({"conv1": [np.ones(500, "f4")]})
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="not a whole pickle") as error:
        read_arrays(path)
    assert "\n" not in str(error.value)
