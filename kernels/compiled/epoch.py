"""Row gathers and scatters, the log of results, and the cursor."""

from .._memory import narrowed


def take_rows(team, y, x, order, cursor):
    part, parts = team
    B, D = y.shape
    for i in range(B * part // parts, B * (part + 1) // parts):
        row = order[cursor[0] + i]
        for j in range(D):
            y[i, j] = narrowed(x[row, j], y[i, j])


def put_rows(team, y, x, order, cursor):
    part, parts = team
    B, D = x.shape
    for i in range(B * part // parts, B * (part + 1) // parts):
        row = order[cursor[0] + i]
        for j in range(D):
            y[row, j] = narrowed(x[i, j], y[row, j])


def note(team, log, value, cursor):
    if team[0] == 0:
        log[cursor[1]] = value[0]


def advance(team, cursor, rows):
    if team[0] == 0:
        cursor[0] += rows
        cursor[1] += 1


def advance_stream(team, state):
    if team[0] == 0:
        state[1] += 1
