"""Reads PyTorch state dicts without PyTorch and without running their code.

A `.pth` file is a pickle, and a pickle is a program. The unpickler here knows
four words: an ordered dictionary, a tensor, a parameter and a storage type. A
file that asks for anything else is refused before that thing is called.

Both layouts are read: the zip archive that PyTorch has written since 1.6, and
the older row of pickles, in which storages follow their tables.

Reference: PyTorch `torch/serialization.py`, `_legacy_load` and `_load`.
"""

import collections
import io
import math
import os
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
STORAGE_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
# What a file that is cut off, changed or of another kind leads to.
DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    AttributeError,
    LookupError,
    MemoryError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
)


class Forbidden(pickle.UnpicklingError):
    """A file asks for something that only a trusted program may have."""


def read_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """Reads the tensors of a PyTorch checkpoint as NumPy arrays.

    Args:
        path: A `.pth` or `.pt` file that holds a state dict, or a dictionary
            with one under the key `"state_dict"` or `"model"`.

    Returns: Names and arrays, in the order of the file.

    Raises: ValueError when the file is damaged, is no state dict, or asks to
        build anything but tensors. Nothing in the file is executed.
    """
    path = Path(path)
    try:
        if zipfile.is_zipfile(path):
            content = _read_archive(path)
        else:
            content = _read_legacy(path)
        tensors = _only_tensors(_find_state_dict(content))
    except Forbidden as error:
        raise ValueError(f"Refused to read {path.name}: {error}") from None
    except DAMAGE as error:
        raise ValueError(
            f"{path.name} is not a whole PyTorch checkpoint "
            f"({type(error).__name__}: {error}); get the file again."
        ) from None
    if not tensors:
        raise ValueError(
            f"{path.name} holds no named tensors; a state dict was expected."
        )
    return tensors


class _Storage:
    """A typed run of numbers, filled after its table has been read."""

    def __init__(self, dtype: str, data: np.ndarray | None = None):
        self.dtype = dtype
        self.data = data


class _Tensor:
    """A strided view on a storage."""

    def __init__(self, storage: _Storage, offset, shape, strides, *_):
        self.storage = storage
        self.offset = int(offset)
        self.shape = tuple(int(size) for size in shape)
        self.strides = tuple(int(stride) for stride in strides)

    def numpy(self) -> np.ndarray:
        data = self.storage.data
        if data is None:
            raise ValueError("a tensor has no storage")
        reach = self.offset + sum(
            (size - 1) * stride
            for size, stride in zip(self.shape, self.strides, strict=True)
        )
        negative = min((self.offset, *self.shape, *self.strides)) < 0
        # A stride of 0 would make a huge array of a single number.
        repeats = math.prod(self.shape) > data.size
        if negative or repeats or (0 not in self.shape and reach >= data.size):
            raise ValueError("a tensor reaches outside its storage")
        view = np.lib.stride_tricks.as_strided(
            data[self.offset :],
            self.shape,
            [stride * data.itemsize for stride in self.strides],
        )
        return np.array(view)


class _RestrictedUnpickler(pickle.Unpickler):
    def __init__(self, file, find_storage):
        super().__init__(file)
        self._find_storage = find_storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        # New functions each time: a pickle may set attributes of what it gets.
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *parts: _Tensor(*parts)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *_: tensor
        if module == "torch" and name in STORAGE_DTYPES:
            return name
        raise Forbidden(
            f"it asks for `{module}.{name}`, and only tensors of NumPy's "
            "number types are allowed."
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key, _, size, *view = pid
        # Legacy files may hold views of storages; none are written any more.
        if kind != "storage" or view not in ([], [None]):
            raise ValueError(f"unknown kind of storage {kind!r}")
        return self._find_storage(STORAGE_DTYPES[storage_type], key, int(size))


def _read_archive(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        tables = [x for x in archive.namelist() if x.endswith("data.pkl")]
        if not tables:
            raise ValueError("the archive has no data.pkl")
        folder = tables[0].removesuffix("data.pkl")

        def find_storage(dtype: str, key: str, size: int) -> _Storage:
            raw = _read_member(archive, f"{folder}data/{key}")
            if len(raw) != size * np.dtype(dtype).itemsize:
                raise ValueError(f"storage {key} has another size")
            return _Storage(dtype, np.frombuffer(raw, dtype))

        program = io.BytesIO(_read_member(archive, tables[0]))
        return _RestrictedUnpickler(program, find_storage).load()


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    # PyTorch does not compress; what is compressed may unpack to anything.
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    return archive.read(name)


def _read_legacy(path: Path) -> Any:
    storages: dict[str, _Storage] = {}

    def find_storage(dtype: str, key: str, size: int) -> _Storage:
        return storages.setdefault(key, _Storage(dtype))

    with path.open("rb") as file:

        def load() -> Any:
            return _RestrictedUnpickler(file, find_storage).load()

        if load() != MAGIC_NUMBER:
            raise ValueError("the magic number is missing")
        load()  # protocol version
        load()  # byte order and sizes of the writer
        content = load()
        for key in load():
            (size,) = struct.unpack("<Q", file.read(8))
            dtype = np.dtype(storages[key].dtype)
            left = os.fstat(file.fileno()).st_size - file.tell()
            if size * dtype.itemsize > left:
                raise EOFError(f"storage {key} is cut off")
            raw = file.read(size * dtype.itemsize)
            storages[key].data = np.frombuffer(raw, dtype)
    return content


def _find_state_dict(content: Any) -> Any:
    """A checkpoint may hold its state dict beside an optimizer's."""
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    return content


def _only_tensors(content: Any) -> dict[str, np.ndarray]:
    if not isinstance(content, dict):
        return {}
    return {
        name: _Tensor.numpy(value)
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, _Tensor)
    }
