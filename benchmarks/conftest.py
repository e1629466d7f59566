"""Options of `pytest benchmarks/`."""


def pytest_addoption(parser):
    parser.addoption("--threads", type=int, help="threads of every library (default: all cores)")
    parser.addoption("--quick", action="store_true", help="try the cases out: small sizes, times that mean nothing")
