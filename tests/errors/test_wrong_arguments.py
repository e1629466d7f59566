"""However wrong an argument of a public function, it gives a result or a typed error that names it, and an error changes nothing."""

from __future__ import annotations

import copy
import inspect
import re

import numpy as np
import pytest
from argument_table import CALLS

import fastnn
from fastnn import data, models, nn, optim, random
from fastnn.data import augment
from fastnn.errors import DTypeError, FastnnError
from fastnn.nn import init
from fastnn.tensor import Tensor

WRONG = {
    "an object": object(),
    "text": "abc",
    "None": None,
    "-1": -1,
    "0": 0,
    "1.5": 1.5,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "a complex number": 1j,
    "True": True,
    "an empty list": [],
    "five ones": [1, 1, 1, 1, 1],
    "a number and a text": [1, "a"],
    "a ragged list": [[1.0], [1.0, 2.0]],
    "an empty dictionary": {},
    "an array of five dimensions": np.ones((2, 2, 2, 2, 2)),
    "an empty array": np.ones((0, 3)),
    "an array of texts": np.array(["a", "b"]),
    "complex numbers": np.ones((4, 3), complex),
    "a tensor of integers": Tensor(np.zeros((4, 3), np.int64)),
    "NaNs": np.full((4, 3), np.nan),
}
UNFINISHED = ("save", "load", "models.resnet")  # what would write, read, or build for long, if it were not refused
BASES = {"Dataset", "Schedule", "Optimizer"}


@pytest.fixture(autouse=True)
def numpy_backend(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where a text may be the name of a file
    with fastnn.use_backend("numpy"):
        yield
        fastnn.set_backend("numba")  # whatever an entry set


def snapshot(arguments):
    """The values of all arrays in the arguments, and the state of the generator."""
    arrays = [a.data if isinstance(a, Tensor) else a for a in arguments.values() if isinstance(a, (Tensor, np.ndarray))]
    for value in arguments.values():
        if isinstance(value, nn.Module):
            arrays += value.state_dict().values()
        if isinstance(value, list):
            arrays += [t.data for t in value if isinstance(t, Tensor)]
    return copy.deepcopy([arrays, random._default.step, random.generator().bit_generator.state])


def names_it(call, argument, error):
    """Whether a message names the argument; if that is of the right type, it may be another one that does not fit any more."""
    words = {argument, *call.words, *(() if isinstance(error, DTypeError) else call.arguments)}
    return re.search("|".join(rf"\b{re.escape(word.strip('_'))}" for word in words), str(error))


def outcome(function, arguments):
    """The error that a call raises, or None."""
    try:
        function(**arguments)
    except (FastnnError, OSError) as error:
        return error
    return None


@pytest.mark.parametrize("name", [name for name in CALLS if not name.startswith(UNFINISHED)])
def test_every_entry_is_right_as_it_stands(name):
    CALLS[name].function(**CALLS[name].arguments)


@pytest.mark.parametrize(("name", "argument"), [(name, argument) for name, call in CALLS.items() for argument in call.arguments])
def test_a_wrong_argument_is_a_typed_error_and_changes_nothing(name, argument):
    call = CALLS[name]
    refused = 0
    for label, wrong in WRONG.items():
        arguments = {**call.arguments, argument: wrong}
        before = snapshot(arguments)
        error = outcome(call.function, arguments)
        if isinstance(error, FastnnError):
            assert names_it(call, argument, error), f"{label}: {error}"
            assert re.search(r"\b(got|unknown|has|missing)\b", str(error)), f"{label}: {error}"
            np.testing.assert_equal(snapshot(arguments), before, err_msg=label)
            refused += 1
        else:
            assert error is None or name in ("load", "save", "save to a path"), f"{label}: {error}"
    assert refused >= 5, "hardly anything is wrong for this argument"


def covered(prefix):
    """The public names that the table has under a prefix."""
    return {name.removeprefix(prefix).split()[0].split(",")[0].split("[")[0].split("(")[0] for name in CALLS if name.startswith(prefix)}


def test_the_whole_public_surface_is_in_the_table():
    assert covered("functional.") == set(nn.functional.__all__)
    assert set(nn.__all__) - {"functional", "init", "utils", "Module", "Identity"} <= covered("nn.")
    initialisers = {n for n, f in inspect.getmembers(init, inspect.isfunction) if f.__module__ == init.__name__ and n[0] != "_"}
    assert covered("nn.init.") == initialisers
    assert {kind.__name__ for kind in optim.OPTIMIZERS.values()} <= covered("optim.")
    assert covered("optim.lr_scheduler.") == set(optim.lr_scheduler.__all__) - BASES
    assert covered("models.") == set(models.__all__)
    assert set(data.__all__) - BASES <= covered("data.")
    assert covered("data.augment.") == set(augment.__all__)
    without_arguments = {"Tensor", "__version__", "get_backend", "get_num_threads", "is_grad_enabled", "no_grad", "show_config"}
    assert set(fastnn.__all__) - set(fastnn.MODULES) - without_arguments <= covered("")
