"""scripts/train_baseline.py: what it is given is looked at before hours of training."""

import sys

import pytest
import train_baseline

import kerasft
from kerasft.datasets import ImageDataset


@pytest.fixture
def train(monkeypatch, tmp_path):
    def call(out, *options):
        arguments = ["--out", out, "--cache", tmp_path / "cache", "--epochs", 1, *options]
        monkeypatch.setattr(sys, "argv", ["train_baseline.py", *map(str, arguments)])
        train_baseline.main()

    return call


@pytest.fixture
def cifar(monkeypatch):
    """The embedded digits, where CIFAR-10 would be read."""
    images, labels = kerasft.datasets.digits()
    names = tuple(map(str, range(10)))
    digits = ImageDataset(images[:200], labels[:200], images[200:300], labels[200:300], names)
    monkeypatch.setattr(train_baseline, "cifar10", lambda data: digits)


def test_the_network_of_the_cache_is_written(train, cifar, tmp_path):
    train(tmp_path / "baseline.keras")
    [cached] = (tmp_path / "cache").glob("*.keras")
    assert (tmp_path / "baseline.keras").read_bytes() == cached.read_bytes()


@pytest.mark.parametrize(
    ("out", "options", "message"),
    [
        ("missing/baseline.keras", (), "Expected a file to write in a folder that exists."),
        (".", (), "Expected a file to write in a folder that exists."),
        ("baseline.keras", ("--data", "nowhere"), "nowhere"),
        ("baseline.keras", ("--epochs", "0"), "0"),
    ],
)
def test_bad_input_is_one_line(train, tmp_path, capsys, out, options, message):
    with pytest.raises(SystemExit) as stopped:
        train(tmp_path / out, *options)
    assert stopped.value.code == 2
    [error] = [x for x in capsys.readouterr().err.splitlines() if "error: " in x]
    assert message in error
    assert not list(tmp_path.iterdir())
