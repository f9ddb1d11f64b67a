"""Results that others changed, given to `kerasft reproduce report`."""

import pathlib

import pandas as pd
import pytest
from hostile_material import contents

RESULTS = pathlib.Path(__file__).parents[2] / "docs" / "results"
FILES = sorted(
    file.name
    for name in ("figure5", "figure6", "rankings", "table1", "transfer", "selection")
    for file in RESULTS.glob(f"{name}-*.csv")
    if not file.name.endswith(".summary.csv")
)


def other_columns(table):
    return pd.DataFrame({"a": ["1"], "b": ["2"]})


def one_column_less(table):
    return table.drop(columns=table.columns[-6])


def texts_for_numbers(table):
    return table.map(lambda text: f"={text}()" if text.replace(".", "").isdigit() else text)


def no_rows(table):
    return table.iloc[:0]


CHANGES = [other_columns, one_column_less, texts_for_numbers, no_rows]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("name", FILES)
def test_changed_results_are_told_in_one_line_and_kept(kerasft, tmp_path, name, change):
    table = pd.read_csv(RESULTS / name, dtype=str, keep_default_na=False)
    change(table).to_csv(tmp_path / name, index=False)
    before = contents(tmp_path)
    status, out, err = kerasft("reproduce", "report", "--out", tmp_path)
    told = f"{out}{err}"
    assert "Traceback" not in told
    if status == 2:
        assert err.count("\n") == 1
        assert err.startswith("Error: ")
    else:
        assert status == 0
        # Without a column that no figure is made of, all can be shown.
        assert "Left out" in out or change is one_column_less
    assert contents(tmp_path)[tmp_path / name] == before[tmp_path / name]


def test_there_are_results_to_change():
    assert len(FILES) >= 2
