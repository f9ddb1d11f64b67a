"""Matches between rankings against a count by hand."""

import sys

import numpy as np
import pandas as pd
import pytest

import kerasft
from kerasft.experiments import provenance, summarise_table1, table1
from kerasft.experiments.table1 import CONFIGURATIONS
from kerasft.experiments.table1_outputs import write_table1_outputs


@pytest.fixture(scope="module")
def rows_and_parts():
    images, _ = kerasft.datasets.digits()
    model = kerasft.models.cifar10_cnn((8, 8, 1))
    blur = kerasft.GaussianBlur(1.0)
    paired = kerasft.rank_filters(model, images[:80], blur, layers=["conv1"])
    return table1(model, images, blur, paired, 3, size=40), (model, images, blur, paired)


def test_matches_are_those_of_a_draw_made_by_hand(rows_and_parts):
    rows, (model, images, blur, paired) = rows_and_parts
    drawn = np.random.default_rng(3).permutation(len(images))[:80]
    clean, distorted = images[drawn[:40]], blur(images[drawn[40:]])
    assert not set(drawn[:40]) & set(drawn[40:])
    for row, (features, metric, exemplars) in zip(rows.itertuples(), CONFIGURATIONS, strict=True):
        ranking = kerasft.rank_filters_from_exemplars(
            model, clean, distorted, features=features, metric=metric, layers=["conv1"],
            exemplars=exemplars, seed=3,
        )  # fmt: skip
        top = set(ranking["conv1"].order[:8].tolist())
        assert row.matches == len(top & set(paired["conv1"].order[:8].tolist()))
        assert (row.selected, row.chance, row.subset) == (8, 2.0, 3)


def test_too_few_images(rows_and_parts):
    _, (model, images, blur, paired) = rows_and_parts
    with pytest.raises(ValueError, match=r"at least 80 images\. Received: 79"):
        table1(model, images[:79], blur, paired, 0, size=40)


def test_the_summary_of_one_draw_has_no_interval_and_of_more_students(rows_and_parts):
    rows, _ = rows_and_parts
    single = summarise_table1(rows)
    assert single["low"].isna().all()
    twice = pd.concat([rows.assign(matches=2), rows.assign(matches=4, subset=4)])
    summary = summarise_table1(twice)
    # Student's t with one degree of freedom: 12.706 standard errors of 1, which is more
    # than the 8 filters leave room for.
    assert summary["matches"].tolist() == [3.0] * len(CONFIGURATIONS)
    assert (summary["low"] == 0).all()
    assert (summary["high"] == 8).all()
    assert (summary["draws"] == 2).all()
    parts = [rows.assign(matches=m, subset=i) for i, m in enumerate((3, 3, 4, 4))]
    summary = summarise_table1(pd.concat(parts))
    # With three: 3.182 of them.
    half = 3.182446 * np.std([3, 3, 4, 4], ddof=1) / 2
    np.testing.assert_allclose(summary["low"], 3.5 - half, atol=0.01)
    np.testing.assert_allclose(summary["high"], 3.5 + half, atol=0.01)


def test_what_a_reader_sees_comes_from_the_draws_alone(tmp_path, rows_and_parts):
    rows, _ = rows_and_parts
    settings = {"distortion": "blur:1", "size": 40, "images_sha256": "1" * 16}
    draws = pd.concat([rows.assign(matches=2), rows.assign(matches=4, subset=4)])
    file = tmp_path / "table1-net-blur1.csv"
    draws.assign(**settings, model_sha256="2" * 16).to_csv(file, index=False)
    written = write_table1_outputs(file)
    assert {path.suffix for path in written} == {".csv", ".svg", ".md"}
    # Mean of 2 and 4; the interval of two draws spans all that there can be.
    text = file.with_suffix(".md").read_text()
    assert "conv1, pixels, euclidean, 1 exemplar: 3.0 (0.0 to 8.0) of 8 filters match" in text
    assert "2 draws" in text
    assert "1111111111111111" in text
    assert "maps, hamming, 25 exemplars" in file.with_suffix(".svg").read_text()
    before = [path.read_bytes() for path in written]
    assert [path.read_bytes() for path in write_table1_outputs(file)] == before


def test_provenance_names_what_ran():
    import keras

    assert provenance()["keras"] == keras.__version__
    assert provenance()["date"].count("-") == 2
    assert provenance()["device"] == "cpu"


def test_provenance_tells_seconds_of_an_accelerator_from_those_of_a_cpu(monkeypatch):
    # Its module has the name of the function.
    module = sys.modules["kerasft.experiments.provenance"]
    monkeypatch.setattr(module, "has_accelerator", lambda: True)
    assert provenance()["device"] == "accelerator"
