"""What the public surface says of itself: every module, class and function has a docstring that names its arguments and what it raises."""

import importlib
import inspect
import pkgutil
import re

import pytest

import fastnn
from fastnn import kernels

PUBLIC = (
    "compile",
    "data",
    "data.augment",
    "datasets",
    "errors",
    "files",
    "losses",
    "models",
    "nn",
    "nn.functional",
    "nn.init",
    "nn.utils",
    "optim",
    "optim.lr_scheduler",
    "training",
    "metrics",
)
MODULES = [m.name for m in pkgutil.walk_packages(fastnn.__path__, "fastnn.") if not m.name.endswith("__main__")]
# What can fail in no way of its own, whatever it is given.
CANNOT_FAIL = {"Callback", "Dataset", "Examples", "Identity", "Tensor", "errors.shown", "errors.unknown_name", "use_backend"}


def surface():
    """Public functions and classes by their dotted names, each once."""
    found = {}
    for name in ("", *PUBLIC):
        module = importlib.import_module(f"fastnn.{name}".rstrip("."))
        own = [n for n, v in vars(module).items() if not n.startswith("_") and getattr(v, "__module__", None) == module.__name__]
        for attribute in getattr(module, "__all__", own):
            value = getattr(module, attribute)
            if inspect.isfunction(value) or (inspect.isclass(value) and not issubclass(value, Exception)):
                found.setdefault(id(value), (f"{name}.{attribute}".lstrip("."), value))
    return dict(found.values())


SURFACE = surface()


def arguments(value):
    """The names of the arguments that a reader has to know."""
    function = value.__init__ if inspect.isclass(value) else value
    names = list(inspect.signature(function).parameters) if inspect.isfunction(function) else []
    return [n for n in names if n not in ("self", "args", "kwargs")]


def text(value):
    """The docstring of a function or a class, for a class those of its bases, too, and that of the module around it."""
    kinds = [k for k in value.__mro__ if k.__module__.startswith("fastnn")] if inspect.isclass(value) else [value]
    return "\n".join(x.__doc__ or "" for x in (*kinds, importlib.import_module(value.__module__)))


def test_the_surface_is_large():
    assert len(SURFACE) > 200


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_has_a_docstring(name):
    module = importlib.import_module(name)
    assert module.__doc__, name
    own = {n: v for n, v in vars(module).items() if n[0] != "_" and getattr(v, "__module__", None) == name}
    for attribute, value in own.items():
        if inspect.isfunction(value) or inspect.isclass(value):
            assert value.__doc__, f"{name}.{attribute}"
        for method, function in vars(value).items() if inspect.isclass(value) else ():
            new = inspect.isfunction(function) and method[0] != "_" and not any(hasattr(base, method) for base in value.__mro__[1:])
            assert not new or function.__doc__, f"{name}.{attribute}.{method}"


@pytest.mark.parametrize("name", SURFACE)
def test_a_docstring_names_every_argument(name):
    value = SURFACE[name]
    described = text(value)
    if len(arguments(value)) == 1 or name.startswith("errors."):
        return  # which is what the sentence is about
    elsewhere = re.search(r"\b(are|is) those of|\bas (for|in) `|\bAs (for|in) `|See `|settings as|`Optimizer`", described)
    missing = [a for a in arguments(value) if not re.search(rf"\b{re.escape(a.strip('_'))}\b", described, re.IGNORECASE)]
    assert not missing or elsewhere, f"{name} says nothing of {', '.join(missing)}"


@pytest.mark.parametrize("name", [n for n, value in SURFACE.items() if arguments(value) and not CANNOT_FAIL & {n, n.split(".")[-1]}])
def test_a_docstring_says_what_is_raised(name):
    assert re.search(r"\b[Rr]aises?\b|errors are|errors those|are raised", text(SURFACE[name])), f"{name} says nothing of what it raises"


@pytest.mark.parametrize("name", kernels.KERNELS)
def test_a_kernel_is_described_by_its_twin(name):
    assert kernels.KERNELS[name].twin.__doc__
    assert getattr(kernels, name).__doc__ == kernels.KERNELS[name].twin.__doc__
