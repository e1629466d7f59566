"""Who computes which block of a matrix product: the result is cut into strips of rows, and each strip into panels of columns.

A worker reads the rows of A and the columns of B that meet in its block, so that blocks that are nearly square read least. Strips are as
high as they have workers, so that any number of workers, a prime one too, finds blocks of nearly equal size.
"""

from ._compiler import inlined


@inlined
def strips_of_rows(parts, M, N, NR, reading):
    """Into how many strips of rows the result is cut, so that the worker with the most to do is done soonest."""
    panels, best, least = (N + NR - 1) // NR, 1, -1
    for strips in range(1, min(parts, M) + 1):
        most = 0
        for workers in (parts // strips, (parts + strips - 1) // strips):  # of a strip
            rows, columns = (M * workers + parts - 1) // parts, (panels + workers - 1) // workers * NR
            most = max(most, rows * columns + reading * (rows + columns))
        if least < 0 or most < least:
            best, least = strips, most
    return best


@inlined
def block_of_worker(part, parts, M, N, NR, reading):
    """The block of worker `part` of `parts`: its first row and the one behind its last, and the same of its columns, in panels of NR.

    An item of an operand takes as long to read, and to pack, as `reading` multiplications.
    """
    if parts == 1:
        return 0, M, 0, N
    strips = strips_of_rows(parts, M, N, NR, reading)
    strip = ((part + 1) * strips - 1) // parts
    first, stop = parts * strip // strips, parts * (strip + 1) // strips
    panels, workers = (N + NR - 1) // NR, stop - first
    left, right = panels * (part - first) // workers * NR, panels * (part - first + 1) // workers * NR
    return M * first // parts, M * stop // parts, min(left, N), min(right, N)
