"""The published files of image data sets, written small and read back; damaged and foreign ones are refused."""

import gzip
import hashlib
import io
import tarfile

import numpy as np
import pytest

import fastnn
from fastnn import datasets, models, nn, optim
from fastnn.data import ArrayDataset, DataLoader, augment
from fastnn.datasets import _image_files as files
from fastnn.errors import DTypeError, StateError
from fastnn.nn import functional as F

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (7, 28, 28), dtype=np.uint8), RNG.integers(0, 10, 7, dtype=np.uint8)
TEST_IMAGES, TEST_LABELS = RNG.integers(0, 256, (3, 28, 28), dtype=np.uint8), np.array([9, 0, 4], np.uint8)
PARTS = dict(zip(files.MNIST, (IMAGES, LABELS, TEST_IMAGES, TEST_LABELS), strict=True))


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def write_mnist(folder, packed=True):
    for name, array in PARTS.items():
        data = idx(array)
        (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(data) if packed else data)


def records(count, seed):
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 256, (count, 3073), dtype=np.uint8)
    table[:, 0] %= 10
    return table


BATCHES = {name: records(4, i) for i, name in enumerate((*files.CIFAR10_TRAIN, "test_batch.bin"))}


def write_archive(path, batches=BATCHES):
    with tarfile.open(path, "w:gz") as archive:
        for name, table in batches.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = table.nbytes
            archive.addfile(member, io.BytesIO(table.tobytes()))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("read", [datasets.mnist, datasets.fashion_mnist])
def test_idx_files_become_images_and_labels(tmp_path, read, packed):
    write_mnist(tmp_path, packed)
    (x, y), (x_test, y_test) = read(tmp_path, verify=False)
    assert (x.dtype, y.dtype) == (np.uint8, np.int64)
    np.testing.assert_array_equal(x, IMAGES[:, None])
    np.testing.assert_array_equal(y, LABELS)
    np.testing.assert_array_equal(x_test, TEST_IMAGES[:, None])
    np.testing.assert_array_equal(y_test, TEST_LABELS)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(("read", "table"), [(datasets.mnist, files.MNIST), (datasets.fashion_mnist, files.FASHION_MNIST)])
def test_files_must_hold_what_the_published_ones_do(tmp_path, monkeypatch, read, table, packed):
    write_mnist(tmp_path, packed)
    published = table["train-images-idx3-ubyte"]
    with pytest.raises(StateError, match=rf"train-images-idx3-ubyte.*MD5 checksum [0-9a-f]{{32}}, .* {published}; verify=False"):
        read(tmp_path)
    for name, array in PARTS.items():
        monkeypatch.setitem(table, name, hashlib.md5(idx(array)).hexdigest())
    assert len(read(str(tmp_path))[0][0]) == 7
    write_mnist(tmp_path, packed)
    name = "t10k-labels-idx1-ubyte" + ".gz" * packed
    changed = idx(TEST_LABELS[::-1])
    (tmp_path / name).write_bytes(gzip.compress(changed) if packed else changed)
    with pytest.raises(StateError, match=r"t10k-labels-idx1-ubyte.* MD5 checksum"):
        read(tmp_path)


def test_read_idx_reads_any_number_of_dimensions(tmp_path):
    for shape in ((5,), (2, 3, 4, 2), (0, 3)):
        array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
        (tmp_path / "array").write_bytes(idx(array))
        np.testing.assert_array_equal(datasets.read_idx(tmp_path / "array"), array)


DAMAGED = {
    "cut short": (lambda data: gzip.compress(data)[:-9], "not a whole gzip file"),
    "scrambled": (lambda data: gzip.compress(data)[:40] + bytes(40), "not a whole gzip file"),
    "without its last byte": (lambda data: data[:-1], r"must hold 5488 bytes for its shape \(7, 28, 28\), got 5487"),
    "of floats": (lambda data: b"\x00\x00\x0d" + data[3:], "not an IDX file of unsigned bytes: it begins with 00 00 0d 03"),
    "empty": (lambda data: b"", "begins with nothing"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_idx_file_is_refused(tmp_path, name):
    damage, message = DAMAGED[name]
    (tmp_path / "images").write_bytes(damage(idx(IMAGES)))
    with pytest.raises(StateError, match=message):
        datasets.read_idx(tmp_path / "images")


def test_a_missing_file_is_named(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"t10k-labels-idx1-ubyte.gz or t10k-labels-idx1-ubyte"):
        datasets.mnist(tmp_path, verify=False)
    with pytest.raises(FileNotFoundError, match=r"data_batch_1.bin"):
        datasets.cifar10(tmp_path)
    with pytest.raises(FileNotFoundError, match="archive"):
        datasets.cifar10(tmp_path / "archive")


def test_images_and_labels_must_belong_together(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS[:-1])))
    with pytest.raises(StateError, match=r"\(7, 28, 28\) and labels of shape \(6,\)"):
        datasets.mnist(tmp_path, verify=False)


@pytest.mark.parametrize("form", ["folder", "archive", "folder of the archive"])
def test_cifar10_becomes_images_and_labels(tmp_path, form, monkeypatch):
    archive = tmp_path / "cifar-10-binary.tar.gz"
    if form == "folder":
        for name, table in BATCHES.items():
            (tmp_path / name).write_bytes(table.tobytes())
    else:
        write_archive(archive)
        monkeypatch.setitem(files.CIFAR10, archive.name, hashlib.md5(archive.read_bytes()).hexdigest())
    (x, y), (x_test, y_test) = datasets.cifar10(archive if form == "archive" else tmp_path, verify=form != "folder")
    assert (x.shape, x_test.shape) == ((20, 3, 32, 32), (4, 3, 32, 32))
    assert (x.dtype, y.dtype) == (np.uint8, np.int64)
    tables = list(BATCHES.values())
    np.testing.assert_array_equal(y, np.concatenate([t[:, 0] for t in tables[:-1]]))
    np.testing.assert_array_equal(x[5, 1, 2], tables[1][1, 1 + 1024 + 64 : 1 + 1024 + 96])
    np.testing.assert_array_equal(y_test, tables[-1][:, 0])


def test_single_files_of_cifar10_must_have_the_size_of_the_published_ones(tmp_path, monkeypatch):
    for name, table in BATCHES.items():
        (tmp_path / name).write_bytes(table.tobytes())
    with pytest.raises(StateError, match=r"data_batch_1.bin holds 12292 bytes, the published file 30730000; verify=False"):
        datasets.cifar10(tmp_path)
    monkeypatch.setattr(files, "CIFAR10_BATCH", 4)
    assert len(datasets.cifar10(tmp_path)[0][0]) == 20
    (tmp_path / "test_batch.bin").write_bytes(records(3, 0).tobytes())
    with pytest.raises(StateError, match=r"test_batch.bin holds 9219 bytes"):
        datasets.cifar10(tmp_path)


def test_a_wrong_cifar10_archive_is_refused(tmp_path):
    archive = tmp_path / "cifar-10-binary.tar.gz"
    write_archive(archive, {"data_batch_1.bin": BATCHES["data_batch_1.bin"]})
    with pytest.raises(StateError, match=r"MD5 checksum .* c32a1d4a"):
        datasets.cifar10(archive)
    with pytest.raises(StateError, match=r"it lacks data_batch_2\.bin"):
        datasets.cifar10(archive, verify=False)
    archive.write_bytes(b"no archive")
    with pytest.raises(StateError, match="not a whole tar archive"):
        datasets.cifar10(archive, verify=False)
    for wrong, message in (
        (BATCHES["test_batch.bin"].ravel()[:-1], "records of 3073 bytes, got 12291"),
        (np.full(3073, 10, np.uint8), "got 10"),
    ):
        write_archive(archive, BATCHES | {"test_batch.bin": wrong})
        with pytest.raises(StateError, match=message):
            datasets.cifar10(archive, verify=False)


def read_back(kind, folder):
    """The pairs of a data set whose files lie in the folder, and a small net for its images."""
    if kind == "mnist":
        write_mnist(folder)
        return datasets.mnist(folder, verify=False), nn.Sequential(nn.Conv2d(1, 2, 5, stride=3), nn.Flatten(), nn.Linear(128, 10))
    write_archive(folder / "cifar-10-binary.tar.gz")
    return datasets.cifar10(folder, verify=False), nn.Sequential(nn.Conv2d(3, 2, 5, stride=3), nn.Flatten(), nn.Linear(200, 10))


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("kind", ["mnist", "cifar10"])
def test_bytes_are_numbers_from_0_to_1_wherever_they_go(tmp_path, kind, backend):
    fastnn.manual_seed(0)
    ((x, y), _), model = read_back(kind, tmp_path)
    floats = x.astype(np.float32) / 255
    still = optim.SGD(model.parameters(), lr=0.0)
    with fastnn.use_backend(backend):
        scores = model(floats)
        loss = F.cross_entropy(scores, y).item()
        step = fastnn.compile_training(model, "cross_entropy", still)
        assert step(x, y) == pytest.approx(loss, rel=1e-5)
        np.testing.assert_array_equal(step.run_epoch(x, y, batch_size=len(x)), [step(x, y)])
        step.prepare(x, y)
        for infer in (fastnn.compile_inference(model), fastnn.Trainer(model, optimizer=still).predict):
            np.testing.assert_allclose(infer(x), scores.numpy(), rtol=1e-4, atol=1e-5)
        for compiled in (True, False):
            trainer = fastnn.Trainer(model, optimizer=still, show_progress=False, compiled=compiled)
            for data in ((x, y), (DataLoader(ArrayDataset(x, y), batch_size=len(x)),)):
                history = trainer.fit(*data, batch_size=len(x), validation_data=(x, y))
                assert history.loss[0] == pytest.approx(loss, rel=1e-5)
                assert history.val_loss[0] == pytest.approx(loss, rel=1e-5)
                assert trainer.evaluate(*data)["loss"] == pytest.approx(loss, rel=1e-5)
            np.testing.assert_allclose(trainer.predict(x), scores.numpy(), rtol=1e-4, atol=1e-5)


LAYERS_OF_FLOATS = {
    "linear": lambda x: nn.Linear(28, 3)(x),
    "bilinear": lambda x: nn.Bilinear(28, 28, 2)(x, x),
    "conv2d": lambda x: nn.Conv2d(1, 2, 3)(x),
    "conv transpose": lambda x: nn.ConvTranspose2d(1, 2, 3)(x),
    "max pool": lambda x: nn.MaxPool2d(2)(x),
    "batch norm": lambda x: nn.BatchNorm2d(1)(x),
    "group norm": lambda x: nn.GroupNorm(1, 1)(x),
    "layer norm": lambda x: nn.LayerNorm(28)(x),
    "prelu": lambda x: nn.PReLU()(x),
    "relu": lambda x: nn.ReLU()(x),
    "augmentation": lambda x: augment.RandomHorizontalFlip()(x),
}


@pytest.mark.parametrize("given", [np.asarray, fastnn.tensor])
@pytest.mark.parametrize("name", LAYERS_OF_FLOATS)
def test_a_layer_refuses_bytes_and_says_what_to_do(name, given):
    with pytest.raises(DTypeError, match=r"must be float32 or float64, got uint8; .* / 255"):
        LAYERS_OF_FLOATS[name](given(IMAGES[:, None]))


def test_a_net_trains_on_the_bytes_as_they_are(tmp_path):
    write_mnist(tmp_path)
    (x, y), _ = datasets.mnist(tmp_path, verify=False)
    fastnn.manual_seed(0)
    with fastnn.use_backend("numpy"):
        model = models.lenet5()
        step = fastnn.compile_training(model, "cross_entropy", optim.Adam(model.parameters(), lr=1e-2))
        losses = [step.run_epoch(x, y, batch_size=7)[0] for _ in range(15)]
    assert losses[-1] < 0.8 * losses[0]
