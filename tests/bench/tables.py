# SPDX-License-Identifier: Apache-2.0
"""Plain text tables, aligned for a terminal and readable in a commit message."""

import stats


def say(text):
    print("  " + text, flush=True)


def ms(value):
    """Milliseconds with three figures that mean something."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def ratio(blocks, name, other):
    """median(name) / median(other) and its interval, of {arm: {block: values}}; "" if not both."""
    if name == other or not blocks.get(name) or not blocks.get(other):
        return ""
    found = stats.ratio_interval(blocks[name], blocks[other])
    return "{:.2f} [{:.2f} {:.2f}]".format(*found) if found else ""


def show(title, heads, lines):
    """The first column and the last, if it is text, are aligned left, the others right."""
    lines = [[str(cell) for cell in line] for line in lines]
    keep = [i for i, head in enumerate(heads)
            if head or i == 0 or any(line[i] for line in lines)]
    heads = [heads[i] for i in keep]
    lines = [[line[i] for i in keep] for line in lines]
    widths = [max(len(row[i]) for row in [heads] + lines) for i in range(len(heads))]

    def put(row):
        cells = [cell.ljust(width) if i == 0 or (i == len(row) - 1 and heads[i] == "")
                 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))]
        print("  " + "  ".join(cells).rstrip())

    print(f"\n{title}")
    put(heads)
    for line in lines:
        put(line)
    print(end="", flush=True)
