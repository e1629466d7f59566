"""Augmentation: each change does what it says, image by image, from a seed, and in compiled steps, too."""

import numpy as np
import pytest
from fastnn.kernels import _program

import fastnn
from fastnn import errors, nn, optim
from fastnn.data import augment

IMAGES = 1 + np.random.default_rng(0).uniform(size=(200, 2, 6, 5)).astype(np.float32)  # no pixel is 0


@pytest.fixture(params=["numba", "numpy"], autouse=True)
def backend(request):
    with fastnn.use_backend(request.param):
        yield request.param


def drawn(module, seed=0, dtype=np.float32):
    fastnn.manual_seed(seed)
    return module(IMAGES.astype(dtype)).numpy()


def test_a_crop_is_a_window_of_the_padded_image_and_every_window_comes_up():
    padded = np.pad(IMAGES, ((0, 0), (0, 0), (1, 1), (1, 1)))
    places = {}
    for image, crop in zip(padded, drawn(augment.RandomCrop((6, 5), padding=1)), strict=True):
        found = [(i, j) for i in range(3) for j in range(3) if np.array_equal(image[:, i : i + 6, j : j + 5], crop)]
        assert len(found) == 1
        places[found[0]] = places.get(found[0], 0) + 1
    assert len(places) == 9
    assert max(places.values()) < 3 * min(places.values()) + 10


def test_a_crop_may_be_smaller_and_lies_in_the_middle_in_evaluation():
    crop = augment.RandomCrop((4, 3))
    assert drawn(crop).shape == (200, 2, 4, 3)
    np.testing.assert_array_equal(crop.eval()(IMAGES).numpy(), IMAGES[:, :, 1:5, 1:4])


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_a_share_of_the_images_is_flipped(p):
    flips = 0
    for image, result in zip(IMAGES, drawn(augment.RandomHorizontalFlip(p)), strict=True):
        flipped = np.array_equal(result, image[:, :, ::-1])
        assert flipped != np.array_equal(result, image)
        flips += flipped
    assert flips / len(IMAGES) == pytest.approx(p, abs=0.1 * (0 < p < 1))


def test_cutout_leaves_a_square_of_zeros_in_all_channels():
    result = drawn(augment.Cutout(3))
    holes = result == 0
    np.testing.assert_array_equal(result[~holes], IMAGES[~holes])
    assert (holes == holes[:, :1]).all()
    for hole in holes[:, 0]:
        rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
        assert hole.sum() == len(rows) * len(columns)
        assert 2 <= len(rows) <= 3
        assert 2 <= len(columns) <= 3
    assert holes[:, 0].any(axis=0).all()


def test_normalize_takes_off_the_mean_of_each_channel():
    y = augment.Normalize((1.5, 1.0), (0.5, 2.0))(IMAGES).numpy()
    np.testing.assert_allclose(y[:, 0], (IMAGES[:, 0] - 1.5) / 0.5, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(y[:, 1], (IMAGES[:, 1] - 1.0) / 2, rtol=1e-6, atol=1e-6)


RANDOM = {
    "crop": lambda: augment.RandomCrop((6, 5), padding=2),
    "flip": lambda: augment.RandomHorizontalFlip(),
    "cutout": lambda: augment.Cutout(2),
}


@pytest.mark.parametrize("name", RANDOM)
def test_changes_repeat_from_a_seed_differ_between_calls_and_stop_in_evaluation(name):
    module = RANDOM[name]()
    first = drawn(module)
    second = module(IMAGES).numpy()
    np.testing.assert_array_equal(drawn(module), first)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, drawn(module, seed=1))
    np.testing.assert_array_equal(module.eval()(IMAGES).numpy(), IMAGES)


def test_both_backends_and_dtypes_make_the_same_changes():
    for make in RANDOM.values():
        results = []
        for dtype in (np.float32, np.float64):
            for name in ("numba", "numpy"):
                with fastnn.use_backend(name):
                    results.append(drawn(make(), dtype=dtype))
                assert results[-1].dtype == dtype
        for other in results[1:]:
            np.testing.assert_array_equal(other, results[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_number_of_threads_makes_the_same_changes(dtype, monkeypatch):
    monkeypatch.setattr(_program, "SHARING_PAYS", 0)
    monkeypatch.setattr(_program, "TRYING_PAYS", 0)
    found = []
    for count in (1, 2, 3):
        fastnn.manual_seed(0)
        with fastnn.threads(count):
            changed = nn.Sequential(*(make() for make in RANDOM.values()))(IMAGES.astype(dtype))
            model = nn.Sequential(*(make() for make in RANDOM.values()), nn.Flatten(), nn.Linear(60, 3, dtype=dtype))
            step = fastnn.compile_training(model, "cross_entropy", optim.SGD(model.parameters(), lr=0.1))
            losses = step.run_epoch(IMAGES, np.arange(200) % 3, 40)
        found.append((changed.numpy().tobytes(), losses.tobytes(), model[-1].weight.numpy().tobytes()))
    assert found[0] == found[1] == found[2]


def test_a_compiled_step_changes_its_images_anew_at_every_step():
    def losses(seed):
        fastnn.manual_seed(seed)
        model = nn.Sequential(*(make() for make in RANDOM.values()), augment.Normalize((1, 1), (2, 2)), nn.Flatten(), nn.Linear(60, 3))
        step = fastnn.compile_training(model, "cross_entropy", optim.SGD(model.parameters(), lr=0.0))
        values = [step(IMAGES[:16], np.arange(16) % 3) for _ in range(3)]
        model.eval()
        return values, [step(IMAGES[:16], np.arange(16) % 3) for _ in range(2)]

    values, still = losses(0)
    assert len(set(values)) == 3
    assert still[0] == still[1]
    assert losses(0) == (values, still)


WRONG = {
    "a batch of rows": (lambda: augment.Cutout(2)(np.ones((3, 4))), errors.ShapeError, r"\(N, C, H, W\), got \(3, 4\)"),
    "a window too large": (lambda: augment.RandomCrop(9, padding=1)(IMAGES), errors.ShapeError, r"\(9, 9\) does not fit into \(6, 5\)"),
    "a padding below 0": (lambda: augment.RandomCrop(3, padding=-1), errors.ArgumentError, "padding .* at least 0, got -1"),
    "p": (lambda: augment.RandomHorizontalFlip(2), errors.ArgumentError, "p must lie between 0 and 1, got 2"),
    "no square": (lambda: augment.Cutout(0), errors.ArgumentError, "size must be at least 1, got 0"),
    "no deviation": (lambda: augment.Normalize((0.5,), (0,)), errors.ArgumentError, "std above 0"),
    "channels": (lambda: augment.Normalize((0.5,), (1,))(IMAGES), errors.ShapeError, r"1 channels, got shape \(200, 2, 6, 5\)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_refused(name):
    call, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        call()
