"""The chain rule, worked: d/dx sin(x^2) = cos(x^2) 2x.

With z = x^2 and y = sin z, dy/dx = dy/dz dz/dx = cos(z) 2x. The tape holds the two operations with a rule for each of them; walking it
backwards multiplies the two derivatives. `fastnn.grad` does that for any function of tensors, and for a gradient again.
"""

import numpy as np
from _show import start, table

import fastnn
from fastnn.nn import functional as F


def f(x):
    """y = sin z with z = x^2."""
    return F.sin(x**2)


def main(quick=False):
    """The chain rule, worked: d/dx sin(x^2) = cos(x^2) 2x."""
    slope, curvature = fastnn.grad(f), fastnn.grad(fastnn.grad(f))
    points = np.linspace(-2.5, 2.5, 11 if quick else 101)
    first = np.array([slope(x).item() for x in points])
    second = np.array([curvature(x).item() for x in points])
    worked = np.cos(points**2) * 2 * points
    twice = 2 * np.cos(points**2) - np.sin(points**2) * 4 * points**2
    table(("x", "dy/dx by the tape", "cos(x^2) 2x"), *[(points[i], first[i], worked[i]) for i in range(0, len(points), len(points) // 10)])

    # One link at a time: what the tape multiplies.
    x = fastnn.tensor(1.5, dtype="float64", requires_grad=True)
    z = x**2
    y = F.sin(z)
    y.backward()
    links = {"dy/dz": float(np.cos(z.item())), "dz/dx": 2 * x.item(), "dy/dx": x.grad.item()}
    print()
    table(("at x = 1.5", ""), *links.items())
    return {"points": points, "first": first, "worked": worked, "second": second, "twice": twice, "links": links}


def draw(figure, numbers):
    axes = figure.subplots()
    axes.plot(numbers["points"], numbers["worked"], label="cos(x^2) 2x")
    axes.plot(numbers["points"], numbers["first"], ".", label="by the tape")
    axes.set(xlabel="x", ylabel="dy/dx")
    axes.legend()


if __name__ == "__main__":
    start(main, draw)
