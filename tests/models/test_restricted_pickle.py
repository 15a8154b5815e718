"""Checkpoints in both of PyTorch's layouts, written without PyTorch."""

import contextlib
import io
import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from dropzoo.models.restricted_pickle import read_state_dict

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
STORAGES = {
    "<f8": "DoubleStorage",
    "<f4": "FloatStorage",
    "<f2": "HalfStorage",
    "<i8": "LongStorage",
    "<i4": "IntStorage",
    "<i2": "ShortStorage",
    "|i1": "CharStorage",
    "|u1": "ByteStorage",
    "|b1": "BoolStorage",
    "<c8": "ComplexFloatStorage",
}


class Storage:
    """A run of numbers, pickled by a persistent id as PyTorch does."""

    def __init__(self, key: str, data: np.ndarray):
        self.key = key
        self.data = data


class Tensor:
    """A view on a storage, pickled as a call of `_rebuild_tensor_v2`."""

    def __init__(self, storage, offset, shape, strides):
        self.parts = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.parts


class Parameter:
    """A tensor that is trained."""

    def __init__(self, tensor: Tensor):
        self.tensor = tensor

    def __reduce__(self):
        parts = (self.tensor, True, OrderedDict())
        return sys.modules["torch._utils"]._rebuild_parameter, parts


class Call:
    """A call of any function, made when the pickle is read."""

    def __init__(self, function, *arguments):
        self.parts = function, arguments

    def __reduce__(self):
        return self.parts


class Altered:
    """A tensor that is then given another attribute."""

    def __init__(self, tensor: Tensor, name: str):
        self.tensor, self.name = tensor, name

    def __reduce__(self):
        state = (None, {self.name: OrderedDict})
        return (*self.tensor.__reduce__(), state)


class AlteredReader:
    """What makes tensors, given another attribute."""

    def __init__(self, tensor: Tensor, name: str):
        self.maker, self.name = tensor.__reduce__()[0], name

    def __reduce__(self):
        unchanged = sys.modules["torch._utils"]._rebuild_parameter
        return unchanged, (self.maker,), (None, {self.name: OrderedDict})


class Pickler(pickle.Pickler):
    """Writes storages by persistent id and remembers them."""

    def __init__(self, file, extra: tuple = ()):
        super().__init__(file, protocol=2)
        self.extra = extra  # what legacy ids hold beside the others
        self.storages: dict[str, Storage] = {}

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        self.storages[value.key] = value
        kind = getattr(sys.modules["torch"], STORAGES[value.data.dtype.str])
        size = value.data.size
        return ("storage", kind, value.key, "cpu", size, *self.extra)


def write_zip(path: Path, content, compression=zipfile.ZIP_STORED) -> Path:
    """Writes a checkpoint as PyTorch has done since 1.6."""
    table = io.BytesIO()
    pickler = Pickler(table)
    pickler.dump(content)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", table.getvalue())
        for key, storage in pickler.storages.items():
            archive.writestr(f"archive/data/{key}", storage.data.tobytes())
    return path


def write_legacy(path: Path, content, view=None) -> Path:
    """Writes a checkpoint as PyTorch did before 1.6."""
    with path.open("wb") as file:
        for head in (MAGIC_NUMBER, 1001, {"little_endian": True}):
            pickle.dump(head, file, protocol=2)
        pickler = Pickler(file, extra=(view,))
        pickler.dump(content)
        pickle.dump(list(pickler.storages), file, protocol=2)
        for storage in pickler.storages.values():
            file.write(struct.pack("<q", storage.data.size))
            file.write(storage.data.tobytes())
    return path


@pytest.fixture(autouse=True)
def torch_names(monkeypatch):
    """Names that PyTorch's pickles refer to, with nothing behind them."""
    named = {"torch": list(STORAGES.values())}
    named["torch._utils"] = ["_rebuild_tensor_v2", "_rebuild_parameter"]
    for module_name, names in named.items():
        module = types.ModuleType(module_name)
        for name in names:
            stand_in = types.FunctionType((lambda: None).__code__, {}, name)
            stand_in.__module__, stand_in.__qualname__ = module_name, name
            setattr(module, name, stand_in)
        monkeypatch.setitem(sys.modules, module_name, module)


@pytest.fixture(params=[write_zip, write_legacy])
def write(request, tmp_path):
    """Writes a checkpoint in either layout."""
    return lambda content: request.param(tmp_path / "weights.pth", content)


def tensor(array, key="0") -> Tensor:
    """A tensor on a storage of its own."""
    strides = tuple(step // array.itemsize for step in array.strides)
    return Tensor(Storage(key, array.ravel()), 0, array.shape, strides)


def test_tensors_come_back_under_their_names(write):
    kernel = np.arange(24, dtype="f4").reshape(2, 3, 4)
    steps = np.array(7, "i8")
    path = write({"a.weight": tensor(kernel), "a.steps": tensor(steps, "1")})
    read = read_state_dict(path)
    assert list(read) == ["a.weight", "a.steps"]
    np.testing.assert_array_equal(read["a.weight"], kernel)
    assert read["a.steps"] == 7 and read["a.steps"].shape == ()


@pytest.mark.parametrize("dtype", [d for d in STORAGES if d != "<c8"])
def test_every_type_of_number_is_read(write, dtype):
    array = np.array([0, 1, 1, 0, 1]).astype(dtype)
    (read,) = read_state_dict(write({"x": tensor(array)})).values()
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_views_of_one_storage_are_told_apart(write):
    storage = Storage("0", np.arange(12, dtype="f4"))
    first = Tensor(storage, 0, (2, 3), (3, 1))
    transposed = Tensor(storage, 6, (3, 2), (1, 3))
    read = read_state_dict(write({"first": first, "transposed": transposed}))
    whole = np.arange(12).reshape(2, 2, 3)
    np.testing.assert_array_equal(read["first"], whole[0])
    np.testing.assert_array_equal(read["transposed"], whole[1].T)


def test_a_parameter_is_its_tensor(write):
    array = np.arange(3, dtype="f4")
    (read,) = read_state_dict(write({"x": Parameter(tensor(array))})).values()
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_a_state_dict_is_found_beside_other_things(write, key):
    inner = OrderedDict(weight=tensor(np.ones(2, "f4")))
    path = write({"epoch": 3, key: inner, "optimizer": {"lr": 0.1}})
    assert list(read_state_dict(path)) == ["weight"]


def test_metadata_of_a_state_dict_is_passed_over(write):
    state = OrderedDict(weight=tensor(np.ones(2, "f4")))
    state._metadata = OrderedDict(version=1)
    assert list(read_state_dict(write(state))) == ["weight"]


def test_a_program_in_the_file_is_not_executed(write, tmp_path):
    marker = tmp_path / "executed"
    path = write({"x": Call(os.mkdir, str(marker))})
    with pytest.raises(ValueError, match=r"Refused to read .*mkdir`.*tensors"):
        read_state_dict(path)
    assert not marker.exists()


def test_the_program_of_the_test_above_would_be_noticed(tmp_path):
    marker = tmp_path / "executed"
    pickle.loads(pickle.dumps(Call(os.mkdir, str(marker))))
    assert marker.exists()


@pytest.mark.parametrize("function", [eval, exec, getattr, __import__, print])
def test_builtins_are_refused(write, function):
    with pytest.raises(ValueError, match=f"Refused .*{function.__name__}"):
        read_state_dict(write({"x": Call(function, "1")}))


def test_an_unknown_type_of_number_is_refused(write):
    path = write({"x": tensor(np.ones(2, "c8"))})
    with pytest.raises(ValueError, match="Refused .*ComplexFloatStorage"):
        read_state_dict(path)


@pytest.mark.parametrize("change", [Altered, AlteredReader])
@pytest.mark.parametrize("name", ["numpy", "shape", "storage", "__init__"])
def test_a_file_cannot_change_how_the_next_is_read(write, change, name):
    array = np.arange(3, dtype="f4")
    path = write({"x": change(tensor(array), name), "y": tensor(array)})
    # Read or refused: either way nothing of it stays.
    with contextlib.suppress(ValueError):
        read_state_dict(path)
    (read,) = read_state_dict(write({"x": tensor(array)})).values()
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (5,), (1,)),
        (3, (2,), (1,)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (-2,), (1,)),
        (0, (2, 2), (1,)),
        (0, (2**40,), (0,)),
        (0, (5,), (0,)),
        (2**70, (1,), (1,)),
    ],
)
def test_a_tensor_cannot_reach_outside_its_storage(
    write, offset, shape, strides
):
    storage = Storage("0", np.zeros(4, "f4"))
    path = write({"x": Tensor(storage, offset, shape, strides)})
    with pytest.raises(ValueError, match="not a whole PyTorch checkpoint"):
        read_state_dict(path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_refused(write, share):
    state = {f"{i}": tensor(np.ones(500, "f4"), f"{i}") for i in range(4)}
    path = write(state)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="weights.pth is not a whole") as error:
        read_state_dict(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE html><title>404</title>",
        b"version https://git-lfs.github.com/spec/v1",
        b"\x00" * 64,
        pickle.dumps(1),
        pickle.dumps(MAGIC_NUMBER) + pickle.dumps(1001),
        b"\x80\x02\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",  # 2**63 bytes follow
    ],
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "page.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="page.pth is not a whole PyTorch"):
        read_state_dict(path)


@pytest.mark.parametrize("content", [[1, 2], {}, {"lr": 0.1}, "text"])
def test_a_file_without_tensors_is_refused(write, content):
    with pytest.raises(ValueError, match="holds no named tensors"):
        read_state_dict(write(content))


def test_another_archive_is_refused(tmp_path):
    path = tmp_path / "photos.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photo.txt", "not a photo")
    with pytest.raises(ValueError, match="photos.pth is not a whole.*data.pkl"):
        read_state_dict(path)


def test_a_compressed_archive_is_refused(tmp_path):
    # A few kilobytes may unpack to more than there is memory.
    path = tmp_path / "bomb.pth"
    zeros = tensor(np.zeros(10**6, "f4"))
    write_zip(path, {"x": zeros}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10**5
    with pytest.raises(ValueError, match="bomb.pth is not a whole.*compressed"):
        read_state_dict(path)


def test_a_storage_of_another_size_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    write_zip(path, {"x": tensor(np.ones(4, "f4"))})
    with zipfile.ZipFile(path) as archive:
        table = archive.read("archive/data.pkl")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", table)
        archive.writestr("archive/data/0", b"\x00" * 12)
    with pytest.raises(ValueError, match="not a whole.*another size"):
        read_state_dict(path)


def test_a_legacy_storage_that_is_never_filled_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    with path.open("wb") as file:
        for head in (MAGIC_NUMBER, 1001, {}):
            pickle.dump(head, file, protocol=2)
        Pickler(file, extra=(None,)).dump({"x": tensor(np.ones(4, "f4"))})
        pickle.dump([], file, protocol=2)
    with pytest.raises(ValueError, match="not a whole.*has no storage"):
        read_state_dict(path)


def test_a_legacy_view_of_a_storage_is_refused(tmp_path):
    # Its offset would be lost: other numbers, and nobody would notice.
    path = tmp_path / "weights.pth"
    state = {"x": tensor(np.ones(4, "f4"))}
    write_legacy(path, state, view=("1", 2, 2))
    with pytest.raises(ValueError, match="not a whole.*kind of storage"):
        read_state_dict(path)


def test_a_missing_file_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_state_dict(tmp_path / "none.pth")
