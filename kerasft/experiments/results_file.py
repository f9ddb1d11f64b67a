import contextlib
import importlib
import io
import os
import pathlib

import pandas as pd

from kerasft.files import write_whole

# Elsewhere two runs into one file are not noticed.
_fcntl = importlib.import_module("fcntl") if os.name == "posix" else None


class ResultsFile:
    """A CSV file of results to which rows are added and nothing is lost.

    Values stay the texts that they are in the file, so rows of earlier runs
    do not change by a digit. Every change writes the file whole.

    Args:
        path: The file; need not exist.

    Attributes:
        path: `pathlib.Path` of the file.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def read(self):
        """The rows, all values as text; `None` where there is no file.

        Returns:
            `pandas.DataFrame` or `None`.

        Raises:
            ValueError: Not a table, or a last line that is cut off.
        """
        if not self.path.exists():
            return None
        content = self.path.read_bytes()
        if not content.endswith(b"\n"):
            lines = content.count(b"\n")
            raise ValueError(
                f"Expected whole lines in {self.path}. Received: line {lines + 1} cut off; remove "
                "it and its run is repeated."
            )
        try:
            return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
        except ValueError as error:
            raise ValueError(
                f"Expected a table of results in {self.path}. Received: {error}."
            ) from error

    def write(self, rows):
        """Replace the file by these rows.

        Args:
            rows: `pandas.DataFrame`.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, rows.to_csv(index=False).encode())

    @contextlib.contextmanager
    def locked(self):
        """Keep other processes of this machine from writing while the block runs.

        Raises:
            ValueError: Another process is writing.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_name(f".{self.path.name}.lock")
        with open(lock, "w") as opened:
            if _fcntl is not None:
                try:
                    _fcntl.flock(opened, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
                    # Not the lock of a process that has removed it since.
                    if not os.path.samestat(os.stat(lock), os.fstat(opened.fileno())):
                        raise BlockingIOError
                except (BlockingIOError, FileNotFoundError):
                    raise ValueError(
                        f"Expected no other process that writes {self.path}. Received: one that "
                        "does; wait for it or give another --out."
                    ) from None
            try:
                yield
            finally:
                # While it is still locked, so that no other process holds it.
                lock.unlink(missing_ok=True)
