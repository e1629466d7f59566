"""Every case of `fastnn bench` builds and its contestants agree with the reference, at small sizes."""

import numpy as np
import pytest
from fastnn.kernels._peak import STEPS_IN_TURN, Steps

from fastnn import compile_training, get_num_threads, kernels, no_grad, optim, use_backend
from fastnn.bench import machine, nets, startup
from fastnn.bench.case import OURS, Case, Contestant, Setting, misfit
from fastnn.bench.cases import SOURCES, cases, convolution
from fastnn.bench.run import build, matching, run
from fastnn.bench.timing import Effort

QUICK = Setting(threads=1, quick=True)
CASES = [case for topic in SOURCES for case in cases(topic, QUICK)]

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the peers


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.group}: {c.name}")
def test_our_result_is_right(case):
    ours = {name: make for name, make in case.contestants.items() if name.startswith(OURS)}
    ready, absent = build(Case(**{**vars(case), "contestants": ours}), QUICK)
    assert ours
    assert not absent
    assert all(c.units >= 1 for c in ready.values())


def test_peers_that_are_installed_agree_on_one_case_of_each_group():
    pytest.importorskip("torch")
    firsts = {case.group: case for case in reversed(CASES) if case.group != "whole training run"}
    for case in firsts.values():
        ready, absent = build(case, QUICK)
        assert "PyTorch" in ready, f"{case.group}: {absent}"
        assert not [who for who, why in absent.items() if why.startswith("wrong")], f"{case.group}: {absent}"


@pytest.mark.parametrize("group", ["training step", "inference"])
def test_peers_that_are_installed_agree_on_a_convolutional_network(group):
    pytest.importorskip("torch")
    found = [case for case in CASES if case.group == group and case.name.startswith(nets.TINY_CONVOLUTIONAL.name)]
    assert found
    for case in found:
        ready, absent = build(case, QUICK)
        assert {"PyTorch", "PyTorch channels last"} <= set(ready), absent
        assert absent.pop("PyTorch compiled") == "not in a quick run"
        assert set(absent.values()) <= {"not installed"}


@pytest.mark.parametrize(("net", "batch"), convolution.networks(quick=False), ids=lambda value: getattr(value, "name", value))
def test_measured_convolutions_are_those_of_the_network(net, batch):
    torch = pytest.importorskip("torch")
    model, shapes = net.torch_model(torch).eval(), set()

    def note(layer, given, result):
        _, I, H, W = given[0].shape
        assert (layer.dilation, layer.groups, W) == ((1, 1), 1, H)
        shapes.add(convolution.Shape(batch, I, layer.out_channels, H, layer.kernel_size[0], layer.stride[0], layer.padding[0]))

    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(note)
    with torch.no_grad():
        model(torch.from_numpy(net.data(1)[0]))
    found = convolution.convolutions(net, batch)
    assert set(found) == shapes
    assert [shape.I for shape, inner in found.items() if not inner] == [3]
    names = {case.name for case in cases("kernels", Setting(threads=1))}
    assert {f"{shape}{kind}" for shape, inner in found.items() for kind in convolution.KINDS if inner or "input" not in kind} <= names


@pytest.mark.parametrize("net", nets.nets(quick=True), ids=lambda net: net.name)
def test_losses_that_are_compared_show_a_wrong_gradient(net):
    """Without the gradient of any one matrix or convolution they are others."""
    [case] = [case for case in CASES if case.group == "training step" and case.name.startswith(f"{net.name},")]
    reference, x, y = case.reference(), *net.data(net.batch)
    assert reference[2] < reference[1] < reference[0]
    for name, parameter in net.model().named_parameters():
        if parameter.ndim > 1:
            model = net.model()
            model.get_parameter(name).requires_grad = False
            optimizer = optim.Adam([p for p in model.parameters() if p.requires_grad], lr=nets.LR)
            step = compile_training(model, net.loss, optimizer)
            assert misfit([step(x, y) for _ in range(3)], reference, case.rtol, case.atol), name


@pytest.mark.parametrize("topic", SOURCES)
def test_names_are_unique_in_the_full_run_too(topic):
    names = [(c.group, c.name) for c in cases(topic, Setting(threads=1))]
    assert len(names) == len(set(names))


def test_cases_are_chosen_by_a_pattern():
    found = list(matching(iter(CASES), r"float64 16x"))
    assert [c.name for c in found] == ["16x16x16 nn"]


def test_results_that_differ_are_named():
    assert misfit([1.0, 2.0], [1.0, 2.0], 0, 0) == ""
    assert misfit([1.0, 2.5], [1.0, 2.0], 0.1, 0.1) == "2.5 instead of 2"
    assert misfit([np.nan], [1.0], 1, 1) == "nan instead of 1"
    assert misfit([1.0], [[1.0]], 1, 1) == "shape (1,) instead of (1, 1)"


def test_who_is_wrong_or_absent_is_not_timed():
    def missing():
        raise ImportError("no such library")

    makes = {"fastnn": lambda: Contestant(int, lambda: 3.0), "liar": lambda: Contestant(int, lambda: 4.0), "gone": missing}
    ready, absent = build(Case("group", "name", makes, lambda: 3.0), QUICK)
    assert list(ready) == ["fastnn"]
    assert absent == {"liar": "wrong result: 4 instead of 3", "gone": "no such library"}


def test_descriptions_and_their_floating_point_operations():
    assert nets.TINY.flops == 2 * (5 * 8 + 8 * 3)
    assert nets.TINY_RESIDUAL.flops == 2 * (9 * 64 + 2 * 64 * 64 + 64 * 3)
    assert nets.mlp((2, 3, 1), "tanh") == (("linear", 2, 3), ("tanh",), ("linear", 3, 1))


@pytest.mark.parametrize("net", [nets.TINY_CONVOLUTIONAL, *nets.CONVOLUTIONAL], ids=lambda net: net.name)
def test_twins_of_convolutional_networks_agree(net):
    torch = pytest.importorskip("torch")
    x = net.data(1)[0]
    ours, theirs = net.model(), net.torch_model(torch).eval()
    ours.eval()
    with use_backend("numpy"), no_grad():
        assert np.allclose(ours(x).numpy(), theirs(torch.from_numpy(x)).detach().numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("net", startup.NETS)
def test_a_fresh_process_takes_a_step_without_numba(net):
    startup.run_once(startup.NETS[net]["fastnn"], threads=1)
    result = startup.run_once(startup.NETS[net]["fastnn"], threads=1)
    assert not result["numba"]
    assert 2e7 < result["peak"] < 1e9
    assert result["seconds"] > 0


def test_a_report_holds_machine_versions_limits_and_rows(monkeypatch):
    monkeypatch.setattr("fastnn.bench.run.effort_of", lambda setting: Effort(1e-5, 2, 0.1))
    report = run(["kernels"], QUICK, only="float32 16x16x16")
    assert report["machine"]["threads"] == 1
    assert report["versions"]["numpy"] == np.__version__
    assert report["limits"]["peak"]["float32"] > report["limits"]["peak"]["float64"] > 0
    [row] = report["rows"]
    assert row["work"]["flops"] == 2 * 16**3
    assert row["work"]["peak"] > 0
    assert len(row["figures"]["fastnn"]["times"]) == 2
    assert row["speedup"] > 0
    assert row["gain"] is None


@pytest.mark.parametrize("threads", [1, 2])
def test_what_no_cache_holds_is_compared_with_a_copy_in_the_same_turns(monkeypatch, threads):
    monkeypatch.setattr("fastnn.bench.run.effort_of", lambda setting: Effort(1e-5, 2, 0.1))
    copies, shares = machine.copies, []
    monkeypatch.setattr(machine, "copies", lambda threads: (shares.append(threads), copies(threads))[1])
    monkeypatch.setattr(machine, "cache_bytes", lambda: 1 << 40)
    [held] = run(["kernels"], Setting(threads, quick=True), only="exp on 65,536")["rows"]
    assert held["work"]["bandwidth"] == 0
    monkeypatch.setattr(machine, "cache_bytes", lambda: 0)
    shares.clear()
    [row] = run(["kernels"], Setting(threads, quick=True), only="exp on 65,536")["rows"]
    assert row["work"]["bandwidth"] > 1e8
    assert shares == [threads] * 3  # before, in the turns of the case, and after
    assert not any("copy" in who for who in row["figures"])


def test_several_threads_are_compared_with_one_in_the_same_turns(monkeypatch):
    monkeypatch.setattr("fastnn.bench.run.effort_of", lambda setting: Effort(1e-5, 2, 0.1))
    seen = []
    matmul = kernels.matmul
    monkeypatch.setattr(kernels, "matmul", lambda *operands: (seen.append(get_num_threads()), matmul(*operands))[1])
    [row] = run(["kernels"], Setting(threads=3, quick=True), only="float32 16x16x16")["rows"]
    assert set(seen) == {1, 3}
    assert row["gain"] > 0


def test_cycles_are_counted_by_a_chain_that_is_really_gone_through():
    steps = Steps()
    steps._record[2] = 1000  # turns
    expected, odd = 1, 1
    for _ in range(1000 * STEPS_IN_TURN // 2):
        expected = (expected + odd) ^ odd
    steps()
    assert steps._operands[0][0] == expected
