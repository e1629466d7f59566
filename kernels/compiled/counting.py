"""Counters: the first worker counts, the others have nothing to do. Averages: each worker has some of them."""

from .._shares import share_columns


def increment(team, counter):
    if team[0] == 0:
        counter[0] += 1


def cumulative_average(team, average, value, counter, scale):
    start, stop = share_columns(team, len(average))
    count = float(counter[0] + 1)
    for c in range(start, stop):
        average[c] += (scale * value[c] - average[c]) / count
