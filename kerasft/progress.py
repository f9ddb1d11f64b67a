"""Progress bars for work that takes more than a second."""

import sys

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)


def start_progress(speed_estimate_period=30.0):
    """Start a progress display on standard error.

    It shows only on a terminal and vanishes when stopped, so pipes and log
    files stay clean.

    Args:
        speed_estimate_period: The time left follows from the speed of the
            last so many seconds.

    Returns:
        A started `rich.progress.Progress`; call its `stop`.
    """
    console = Console(file=sys.stderr)
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        speed_estimate_period=speed_estimate_period,
        disable=not console.is_terminal,
    )
    progress.start()
    return progress


def track(items, total, description):
    """Iterate over `items` under a progress bar.

    Args:
        items: Any iterable.
        total: Its number of items, or `None` where that is not known.
        description: What is being done, a few words.

    Yields:
        The items.
    """
    progress = start_progress()
    try:
        task = progress.add_task(description, total=total)
        for item in items:
            yield item
            progress.advance(task)
    finally:
        progress.stop()
