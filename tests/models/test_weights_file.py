"""Files in Keras's format that reach outside themselves."""

import h5py
import keras
import numpy as np
import pytest

from dropzoo.models.weights_file import read_weights_file


@pytest.fixture
def path(tmp_path):
    """A file of a convolution, a normalization and a dense layer."""
    images = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(2, 1, name="first")(images)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Flatten(name="flat")(x)
    model = keras.Model(images, keras.layers.Dense(5, name="last")(x))
    model.save_weights(tmp_path / "w.weights.h5")
    return tmp_path / "w.weights.h5"


def replaced(path, write):
    """Removes the first variable and lets another take its place."""
    with h5py.File(path, "r+") as file:
        group = file["layers/conv2d/vars"]
        del group["0"]
        write(group)
    return path


def refused(path, match):
    with pytest.raises(ValueError, match=match) as error:
        read_weights_file(path)
    assert "\n" not in str(error.value)


def test_layers_have_their_variables_in_order(path):
    shapes = {
        name: [array.shape for array in arrays]
        for name, arrays in read_weights_file(path).items()
    }
    assert shapes == {
        "first": [(1, 1, 3, 2), (2,)],
        "norm": [(2,)] * 4,
        "last": [(32, 5), (5,)],
    }


def test_a_link_to_another_file_is_not_followed(path, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["0"] = np.ones((1, 1, 3, 2), "f4")
    link = h5py.ExternalLink(tmp_path / "secret.h5", "0")
    refused(
        replaced(path, lambda group: group.__setitem__("0", link)),
        r"w\.weights\.h5 is not a whole .*0 is a link",
    )


def test_numbers_in_another_file_are_not_read(path, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret!!" * 3)

    def write(group):
        external = [(str(tmp_path / "secret"), 0, 24)]
        group.create_dataset("0", (1, 1, 3, 2), "f4", external=external)

    refused(replaced(path, write), "stored in another file")


def test_a_virtual_array_is_not_read(path, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.ones(6, "f4")

    def write(group):
        layout = h5py.VirtualLayout((6,), "f4")
        layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "x", (6,))
        group.create_virtual_dataset("0", layout)

    refused(replaced(path, write), "stored in another file")


def test_an_array_larger_than_the_file_is_not_made(path):
    # A few bytes may stand for more than there is memory.
    def write(group):
        group.create_dataset("0", (2**20, 2**20), "f4", chunks=(8, 8))

    refused(replaced(path, write), "larger than the file")


def test_arrays_that_together_are_larger_than_the_file_are_not_made(path):
    def write(group):
        size = (path.stat().st_size // 4 * 3 // 4,)
        for number in ("0", "2"):
            group.create_dataset(number, size, "f4", chunks=(8,))

    refused(replaced(path, write), "larger than the file")


@pytest.mark.parametrize("values", [b"text", np.ones(2, "c8")])
def test_what_is_no_number_is_refused(path, values):
    refused(
        replaced(path, lambda group: group.__setitem__("0", values)),
        "holds no numbers",
    )


def test_a_file_of_other_things_is_refused(tmp_path):
    with h5py.File(tmp_path / "w.weights.h5", "w") as file:
        file["layers"] = 3
    refused(tmp_path / "w.weights.h5", "not a whole Keras weights file")
