"""The image data sets whose published files a user has on disk: MNIST, Fashion-MNIST and CIFAR-10.

Images come as bytes, (N, C, H, W). Compiled steps, compiled inference and the trainer take them as they are, as numbers x / 255; layers
that are called one by one take floats only.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import tarfile
import zlib
from pathlib import Path

import numpy as np

from ..errors import StateError
from ._examples import Array, Pair

PathLike = str | os.PathLike[str]

# MD5 of what the published files hold, unpacked; of CIFAR-10, whose page gives no others, of the archive: http://yann.lecun.com/exdb/mnist,
# https://github.com/zalandoresearch/fashion-mnist, https://www.cs.toronto.edu/~kriz/cifar.html.
MNIST = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
FASHION_MNIST = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
CIFAR10 = {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"}
CIFAR10_TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
CIFAR10_SHAPE = (3, 32, 32)
CIFAR10_RECORD = 1 + math.prod(CIFAR10_SHAPE)  # bytes: a label, then the red, green and blue planes
CIFAR10_BATCH = 10_000  # records in each published file
CLASSES = 10
IDX_BYTES = b"\x00\x00\x08"  # an IDX file of unsigned bytes begins so; the next byte is the number of dimensions
GZIP = b"\x1f\x8b"
UNVERIFIED = "verify=False reads it all the same"


def read_idx(path: PathLike) -> Array:
    """The array in an IDX file of unsigned bytes, packed by gzip or not.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    StateError
        If it is damaged or in another format.
    """
    return _idx(_unpacked(Path(path).read_bytes(), Path(path)), Path(path))


def mnist(folder: PathLike, verify: bool = True) -> tuple[Pair, Pair]:
    """MNIST, `(x, y), (x_test, y_test)`: 60,000 and 10,000 handwritten digits. LeCun et al. 1998.

    Parameters
    ----------
    folder
        Where train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz lie, or
        the same files unpacked, without ".gz".
    verify
        Whether what the files hold, unpacked, must have the published checksums.

    Returns
    -------
    x uint8 (N, 1, 28, 28), y int64 (N,)

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    StateError
        If a file is damaged, or is not the published one.
    """
    return _idx_pairs(Path(folder), MNIST, verify)


def fashion_mnist(folder: PathLike, verify: bool = True) -> tuple[Pair, Pair]:
    """Fashion-MNIST: like `mnist`, in files of the same names, with ten kinds of clothes. Xiao et al. 2017.

    `folder` and `verify` are those of `mnist`, and so are the errors that are raised.
    """
    return _idx_pairs(Path(folder), FASHION_MNIST, verify)


def cifar10(path: PathLike, verify: bool = True) -> tuple[Pair, Pair]:
    """CIFAR-10, `(x, y), (x_test, y_test)`: 50,000 and 10,000 small colour photographs of ten kinds of things. Krizhevsky 2009.

    Parameters
    ----------
    path
        cifar-10-binary.tar.gz (the binary version), a folder that holds it, or a folder with data_batch_1.bin to data_batch_5.bin and
        test_batch.bin.
    verify
        Whether the archive must have the published checksum; single files, for which none is published, must hold 10,000 images each.

    Returns
    -------
    x uint8 (N, 3, 32, 32), y int64 (N,)

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    StateError
        If a file is damaged, or is not the published one.
    """
    place = Path(path)
    (archive, checksum), *_ = CIFAR10.items()
    if place.is_dir() and (place / archive).is_file():
        place = place / archive
    names = (*CIFAR10_TRAIN, "test_batch.bin")
    if place.is_dir():
        batches = [_present(place, (name,)).read_bytes() for name in names]
        for data, name in zip(batches, names, strict=True):
            if verify and len(data) != CIFAR10_BATCH * CIFAR10_RECORD:
                raise StateError(
                    f"{place / name} holds {len(data)} bytes, the published file {CIFAR10_BATCH * CIFAR10_RECORD}; {UNVERIFIED}"
                )
    else:
        if verify:
            _check(place, place.read_bytes(), checksum)
        batches = _members(place, names)
    pairs = [_records(data, name) for data, name in zip(batches, names, strict=True)]
    x, y = (np.concatenate(parts) for parts in zip(*pairs[:-1], strict=True))
    return (x, y), pairs[-1]


def _idx_pairs(folder: Path, checksums: dict[str, str], verify: bool) -> tuple[Pair, Pair]:
    arrays = []
    for name, checksum in checksums.items():
        path = _present(folder, (f"{name}.gz", name))
        data = _unpacked(path.read_bytes(), path)
        if verify:
            _check(path, data, checksum)
        arrays.append(_idx(data, path))
    x, y, x_test, y_test = arrays
    for images, labels in ((x, y), (x_test, y_test)):
        if images.ndim != 3 or labels.shape != images.shape[:1] or labels.max(initial=0) >= CLASSES:
            raise StateError(
                f"{folder}: images of shape {images.shape} and labels of shape {labels.shape} up to {labels.max(initial=0)} "
                f"do not belong together; they must be (N, H, W) and (N,) below {CLASSES}"
            )
    return (x[:, None], y.astype(np.int64)), (x_test[:, None], y_test.astype(np.int64))


def _present(folder: Path, names: tuple[str, ...]) -> Path:
    """The first of the files that is there."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{folder} must hold {' or '.join(names)}")


def _check(path: Path, data: bytes, checksum: str) -> None:
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found != checksum:
        raise StateError(f"{path} holds what has the MD5 checksum {found}, the published file has {checksum}; {UNVERIFIED}")


def _unpacked(data: bytes, path: Path) -> bytes:
    """The contents of a file that gzip may have packed."""
    if not data.startswith(GZIP):
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise StateError(f"{path} is not a whole gzip file: {error}") from error


def _idx(data: bytes, path: Path) -> Array:
    if data[:3] != IDX_BYTES or len(data) < 4 + 4 * data[3]:
        raise StateError(f"{path} is not an IDX file of unsigned bytes: it begins with {data[:4].hex(' ') or 'nothing'}")
    shape = tuple(np.frombuffer(data, ">u4", data[3], 4).tolist())
    start = 4 + 4 * len(shape)
    if len(data) - start != math.prod(shape):
        raise StateError(f"{path} must hold {math.prod(shape)} bytes for its shape {shape}, got {len(data) - start}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _members(archive: Path, names: tuple[str, ...]) -> list[bytes]:
    """The contents of files in a tar archive, whatever folder they lie in there."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive) as files:
            for member in files:
                name = member.name.rpartition("/")[2]
                if name in names and (content := files.extractfile(member)) is not None:
                    found[name] = content.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise StateError(f"{archive} is not a whole tar archive: {error}") from error
    if missing := [name for name in names if name not in found]:
        raise StateError(f"{archive} must hold {', '.join(names)}; it lacks {', '.join(missing)}")
    return [found[name] for name in names]


def _records(data: bytes, name: str) -> Pair:
    """The images and labels of CIFAR-10's records."""
    if not data or len(data) % CIFAR10_RECORD:
        raise StateError(f"{name} must hold records of {CIFAR10_RECORD} bytes, got {len(data)} bytes")
    table = np.frombuffer(data, np.uint8).reshape(-1, CIFAR10_RECORD)
    if table[:, 0].max() >= CLASSES:
        raise StateError(f"{name} must hold labels below {CLASSES}, got {table[:, 0].max()}")
    return table[:, 1:].reshape(-1, *CIFAR10_SHAPE), table[:, 0].astype(np.int64)
