"""What the turns of several workers must have in common, whatever they compute."""

import itertools

from fastnn.compile.memory import extent


def phases(turns):
    """The work of one worker between meetings."""
    places = [i for i, turn in enumerate(turns) if turn is None]
    assert places[:1] == [0]
    return [turns[start + 1 : stop] for start, stop in itertools.pairwise([*places, len(turns)])]


def touched(work):
    """What a piece of work writes and reads, as extents."""
    return [extent(a) for a in work.instruction.outputs], [extent(a) for a in work.instruction.inputs]


def assert_free_of_conflicts(workers):
    """Between two meetings no worker touches what another one writes, unless it has itself written the same there before."""
    by_worker = [phases(turns) for turns in workers]
    assert len({len(p) for p in by_worker}) == 1
    for phase in zip(*by_worker, strict=True):
        for p, q in itertools.permutations(range(len(phase)), 2):
            for one in phase[p]:
                repeated = False
                for other in phase[q]:
                    if other.instruction is one.instruction:
                        repeated = True
                        continue
                    written, read = touched(other)
                    for low, high in touched(one)[0]:
                        for other_low, other_high in written if repeated else written + read:
                            assert high <= other_low or other_high <= low, (one.instruction.kernel, other.instruction.kernel)
