"""scripts/same_pictures.py tells versions of one picture from other pictures."""

import sys

import numpy as np
import pandas as pd
import pytest
import same_pictures

from kerasft.datasets import save_image_folder


@pytest.fixture
def run(monkeypatch, tmp_path):
    def call(*options):
        arguments = ["--data", tmp_path / "a", "--others", tmp_path / "b"]
        arguments += ["--out", tmp_path / "out.csv", *options]
        monkeypatch.setattr(sys, "argv", ["same_pictures.py", *map(str, arguments)])
        same_pictures.main()
        return pd.read_csv(tmp_path / "out.csv")

    return call


def save(folder, seed, paths):
    """Random pictures of 4 by 4 tiles."""
    tiles = np.random.default_rng(seed).integers(0, 256, (len(paths), 4, 4, 3), "uint8")
    save_image_folder(folder, tiles.repeat(8, axis=1).repeat(8, axis=2), paths)


def test_versions_are_alike_and_other_pictures_are_not(run, tmp_path):
    paths = [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(20)]
    save(tmp_path / "a", 0, paths)
    save(tmp_path / "b", 1, paths[:-1])
    table = run("--count", 30).set_index("compared")
    assert (table["pictures"] == 30).all()
    assert table.loc["other pictures", "alike"] == 0
    assert abs(table.loc["other pictures", "median"]) < 0.3
    versions = table.drop(index="other pictures")
    assert len(versions) == 9
    assert (versions["median"] > 0.8).all()
    assert versions.loc["one picture, awgn:25 and awgn:25", "lowest"] > 0.9


def test_the_same_pictures_are_alike(run, tmp_path):
    for name in ("a", "b"):
        save(tmp_path / name, 0, ["cat/0.png", "dog/1.png"])
    table = run().set_index("compared")
    assert table.loc["other pictures", "lowest"] == 1


def test_no_path_in_common(run, tmp_path, capsys):
    save(tmp_path / "a", 0, ["cat/0.png"])
    save(tmp_path / "b", 0, ["cat/1.png"])
    with pytest.raises(SystemExit):
        run()
    assert "Expected paths that are in" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()
