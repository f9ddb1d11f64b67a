"""What commands say on standard output: lines and tables for people, JSON for machines."""

import json
import math
import pathlib

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table


def print_line(text, *, stderr=False):
    """Print a text as it is; a terminal breaks it, so that paths can be copied whole."""
    Console(stderr=stderr).print(text, markup=False, highlight=False, soft_wrap=True)


def print_written(files):
    """Say which files there are now.

    Args:
        files: List of paths in one folder.
    """
    print_line(f"Wrote {', '.join(file.name for file in files)} to {files[0].parent}")


def print_table(title, names, numbers, rows):
    """Print a table of names and numbers; on a narrow terminal lines are broken, never cut.

    Args:
        title: Its title.
        names: Heading of the first column.
        numbers: Headings of the others.
        rows: A list of texts for each row.
    """
    table = Table(title=escape(title), title_justify="left")
    table.add_column(names, overflow="fold")
    for heading, *cells in zip(numbers, *(row[1:] for row in rows), strict=True):
        # A lone number stays whole; one with an interval may be broken between the two.
        whole = not any(" " in cell for cell in cells)
        table.add_column(heading, justify="right", no_wrap=whole, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    Console().print(table)


def print_json(result):
    """Print a result as one JSON object on one line.

    Args:
        result: Dictionary of numbers, texts, paths, arrays and lists and
            dictionaries of them. What is not a number becomes `null`.
    """
    # ASCII, which is UTF-8 too, whatever encoding the terminal or pipe has.
    print(json.dumps(_plain(result), allow_nan=False))


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, pathlib.PurePath) else value
