"""What all examples share: a table on the terminal, and a figure where matplotlib is installed."""

import argparse


def table(*rows):
    """Print rows of cells in columns, the first row being the heading; floats with four significant digits."""
    cells = [[f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def start(main, draw):
    """Run an example from the command line: `python examples/NAME.py [FIGURE] [--quick]`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("figure", nargs="?", help="where to write a figure, such as figure.png")
    parser.add_argument("--quick", action="store_true", help="a smaller experiment that takes a second")
    args = parser.parse_args()
    numbers = main(quick=args.quick)
    if args.figure:
        save(draw, numbers, args.figure)


def save(draw, numbers, path):
    """Let `draw(figure, numbers)` draw what `main` returned, and write it to `path`."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no figure: it needs matplotlib, pip install 'fastnn-cpu[plot]'")
        return
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    draw(figure, numbers)
    figure.savefig(path, dpi=120)
