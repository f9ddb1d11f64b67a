import contextlib
import csv
import io
import pathlib

import pandas as pd

from kerasft.files import write_whole

# Whatever they look like: a network's layers may be called 1 and 2, a version 3.10.
_TEXTS = frozenset(
    ("run", "images_sha256", "model_sha256", "network", "layer", "layers", "pixels")
    + ("distortion", "tested_on", "method", "rule", "features", "metric", "status")
    + ("date", "kerasft", "keras", "backend", "device")
)


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
        # Absolute: workers on other machines start elsewhere.
        self.path = pathlib.Path(path).absolute()

    def read(self):
        """The rows, all values as text; `None` where there is no file.

        Returns:
            `pandas.DataFrame` or `None`.

        Raises:
            ValueError: Not a table, a line that is cut off, or a run that has
                lost rows.
        """
        if not self.path.exists():
            return None
        content = self.path.read_bytes()
        if not content:
            raise ValueError(f"Expected a table of results. Received: {self.path}, which is empty.")
        if not content.endswith(b"\n"):
            raise ValueError(f"Expected whole lines in {self.path}. Received: {_cut_off(content)}.")
        try:
            rows = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
        except ValueError as error:
            raise ValueError(
                f"Expected a table of results in {self.path}. Received: {error}."
            ) from error
        # pandas fills lines with too few fields, and takes one too many for an index.
        lines = csv.reader(io.StringIO(content.decode(), newline=""))
        for fields in lines:
            if fields and len(fields) != rows.shape[1]:
                raise ValueError(
                    f"Expected {rows.shape[1]} fields in each line of {self.path}, as in the "
                    f"first. Received: {len(fields)} in line {lines.line_num}."
                )
        if "run" in rows:
            counts = rows["run"].value_counts()
            short = counts.index[counts < counts.max()]
            if len(short):
                raise ValueError(
                    f"Expected {counts.max()} rows of every run in {self.path}. Received: "
                    f"{counts[short[0]]} of run {short[0]}; remove them and it is repeated."
                )
        return rows

    def table(self):
        """The rows with numbers as numbers.

        Returns:
            `pandas.DataFrame`.

        Raises:
            FileNotFoundError: No such file.
            ValueError: As `read`.
        """
        rows = self.read()
        if rows is None:
            raise FileNotFoundError(
                f"Expected a file of results. Received: {self.path}, which does not exist."
            )
        return typed(rows)

    def write(self, rows):
        """Replace the file by these rows.

        Args:
            rows: `pandas.DataFrame`.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, rows.to_csv(index=False).encode())


def _cut_off(content):
    """What the last line is, and what to remove so that what it was part of is made again."""
    header, line = (
        next(csv.reader(io.StringIO(line.decode(errors="replace"), newline="")), []) or [""]
        for line in (content.partition(b"\n")[0], content.rpartition(b"\n")[2])
    )
    # Of all but the last field the whole is there.
    whole = dict(zip(header, line[:-1], strict=False))
    if header[0] == "run":
        part = f"run {line[0]!r}"
    elif "subset" in whole:
        part = f"draw {whole['subset']} (column subset)"
    else:
        return "a last line cut off; remove that line"
    return f"a last line cut off; remove all rows of {part} and it is repeated"


@contextlib.contextmanager
def results_of(name, path):
    """Tell of columns and values that are missing while results are worked on.

    Args:
        name: Of the experiment.
        path: The file that the results are of.

    Raises:
        ValueError: They are not what the experiment writes.
    """
    try:
        yield
    except (KeyError, IndexError, AttributeError, TypeError) as error:
        raise ValueError(
            f"Expected the results of {name} in {path}. Received: others "
            f"({type(error).__name__}: {error})."
        ) from error


def typed(rows):
    """Rows of texts as what they are texts of; digests and names stay texts.

    Args:
        rows: `pandas.DataFrame` of texts.

    Returns:
        `pandas.DataFrame`, every number to its last digit; an empty field
        among numbers is NaN.
    """
    # A digest of digits alone is no number, nor is a name.
    return rows.reset_index(drop=True).apply(
        lambda column: column if column.name in _TEXTS else _numbers(column)
    )


def _numbers(column):
    # Python reads back what it wrote; pandas does so in some of its versions only. Underscores
    # it takes for digits' separators, but writes none.
    if any("_" in text for text in column):
        return column
    for number in (int, float):
        try:
            return pd.Series([number(text or "nan") for text in column], column.index)
        except ValueError:
            continue
    return column
