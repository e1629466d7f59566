import numpy as np
import pytest

from fastnn.data import ArrayDataset, DataLoader, Dataset
from fastnn.errors import ArgumentError, DTypeError, ShapeError


class Squares(Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return np.full((2, 3), index, np.float32), index**2


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(
    ("size", "drop_last", "lengths"), [(4, False, [4, 4, 2]), (4, True, [4, 4]), (5, True, [5, 5]), (20, False, [10]), (20, True, [])]
)
def test_one_pass_gives_each_example_once_in_batches_of_the_size(size, drop_last, lengths, shuffle):
    loader = DataLoader(ArrayDataset(np.arange(10)), size, shuffle=shuffle, drop_last=drop_last, generator=0)
    seen = [batch for (batch,) in loader]
    assert [len(b) for b in seen] == lengths
    assert len(loader) == len(lengths)
    values = np.concatenate(seen) if seen else []
    assert len(set(values)) == sum(lengths)
    if not shuffle:
        np.testing.assert_array_equal(values, np.arange(sum(lengths)))


def test_the_order_comes_from_the_seed_and_changes_with_each_pass():
    def passes(seed):
        loader = DataLoader(ArrayDataset(np.arange(100)), 100, shuffle=True, generator=seed)
        return [next(iter(loader))[0].tolist() for _ in range(2)]

    assert passes(1) == passes(1)
    assert passes(1)[0] != passes(1)[1]
    assert passes(1)[0] != passes(2)[0]


def test_parts_stay_together_when_shuffled():
    x = np.arange(50).reshape(50, 1)
    for a, b in DataLoader(ArrayDataset(x, x[:, 0] * 2), 7, shuffle=True, generator=0):
        np.testing.assert_array_equal(a[:, 0] * 2, b)


def test_examples_made_one_by_one_are_stacked():
    x, y = next(iter(DataLoader(Squares(), 4)))
    assert x.shape == (4, 2, 3)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(y, [0, 1, 4, 9])


def test_array_dataset_reads_single_examples():
    x, y = ArrayDataset(np.eye(3), [5, 6, 7])[1]
    np.testing.assert_array_equal(x, [0, 1, 0])
    assert y == 6


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "8"])
def test_a_wrong_batch_size_is_refused(size):
    with pytest.raises(ArgumentError if type(size) is int else DTypeError, match=r"batch_size must be .* got"):
        DataLoader(Squares(), size)


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(ShapeError, match=r"\(3,\), \(4,\)"):
        ArrayDataset(np.zeros(3), np.zeros(4))
    with pytest.raises(ShapeError, match="same length"):
        ArrayDataset(np.array(1.0))
    with pytest.raises(ArgumentError, match="at least one"):
        ArrayDataset()


def test_an_unfinished_dataset_says_what_it_lacks():
    with pytest.raises(NotImplementedError, match="__len__"):
        len(Dataset())
    with pytest.raises(NotImplementedError, match="__getitem__"):
        Dataset()[0]
