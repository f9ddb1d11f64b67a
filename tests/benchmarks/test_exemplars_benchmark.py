"""The benchmark of exemplars runs and writes what the documentation reads."""

import pathlib
import subprocess
import sys

import pandas as pd
import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "benchmarks" / "exemplars.py"


def test_quick_run(tmp_path):
    pytest.importorskip(
        "sklearn_extra.cluster", reason="the rival needs NumPy 1", exc_type=ImportError
    )
    out = tmp_path / "exemplars.csv"
    subprocess.run([sys.executable, SCRIPT, "--quick", "--out", out], check=True)
    table = pd.read_csv(out)
    assert set(table["engine"]) == {"kerasft", "scikit-learn-extra", "pairwise_distances"}
    assert table.groupby("task")["index"].nunique().eq(1).all()
    assert out.with_suffix(".svg").read_text().startswith("<?xml")
