"""`kerasft rank --confidence`: what it writes, says and refuses."""

import json

import keras
import pytest

from kerasft.datasets import load_image_folder
from kerasft.distortions import AdditiveWhiteGaussianNoise
from kerasft.susceptibility import FilterRanking, rank_filters


def test_it_is_the_ranking_of_rank_filters(kerasft, trained_model, folders, tmp_path):
    status, out, _ = kerasft(
        "rank", trained_model, "--clean", folders / "clean", "--distortion", "awgn:40",
        "--confidence", 0.8, "--out", tmp_path / "r",
    )  # fmt: skip
    assert status == 0
    images = load_image_folder(folders / "clean", channels=1).images
    model = keras.saving.load_model(trained_model)
    expected = rank_filters(model, images, AdditiveWhiteGaussianNoise(40, 0), confidence=0.8)
    written = FilterRanking.load(tmp_path / "r" / "ranking.json")
    for name, layer in expected.items():
        assert layer.pairs < 200
        assert f"{layer.pairs} of 200 pairs" in out
        assert f"{layer.confidence:.1%}" in out
        assert written[name].order.tolist() == layer.order.tolist()
        assert written[name].confidence == layer.confidence


def test_without_it_nothing_is_said_of_confidence(kerasft, trained_model, folders, tmp_path):
    _, out, _ = kerasft(
        "rank", trained_model, "--clean", folders / "clean_test", "--distortion", "blur:1",
        "--out", tmp_path / "r",
    )  # fmt: skip
    assert "100 pairs" in out
    assert "settled" not in out
    layers = json.loads((tmp_path / "r" / "ranking.json").read_text())["layers"]
    assert all("confidence" not in layer for layer in layers.values())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--confidence", "1"], "confidence as a number over 0 and under 1. Received: 1.0"),
        (["--confidence", "95"], "confidence as a number over 0 and under 1. Received: 95.0"),
        (["--confidence", "nan"], "confidence as a number over 0 and under 1. Received: nan"),
        (["--confidence", "high"], "not a valid float"),
        (["--confidence", "0.9", "--unpaired"], "--confidence without --unpaired"),
    ],
)
def test_what_cannot_be_is_refused_before_any_file_is_read(kerasft, tmp_path, given, message):
    status, _, err = kerasft(
        "rank", "no_model.keras", "--clean", tmp_path, "--distorted", tmp_path, *given,
        "--out", tmp_path / "r",
    )  # fmt: skip
    assert status == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "r").exists()
