"""What commands print: JSON for machines, tables and lines for people, escape codes for neither."""

import json
import os
import pathlib
import re
import subprocess
import sys

import click
import keras
import numpy as np
import pandas as pd
import pytest

from kerasft.cli.output import print_json, print_table
from kerasft.datasets import load_image_folder
from kerasft.susceptibility import FilterRanking
from kerasft_cli.command import cli
from kerasft_cli.options import WholeNumber

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "practitioner.md"


@pytest.fixture
def answer(kerasft):
    """Run a command with `--json`; gives the object that it prints, and nothing else."""

    def run(*arguments):
        status, out, err = kerasft(*arguments, "--json")
        assert (status, err) == (0, "")
        assert out.isascii()
        assert out.count("\n") == 1
        result = json.loads(out, parse_constant=pytest.fail)
        _is_documented(arguments[0], result)
        return result

    return run


def _is_documented(command, result):
    """The keys of a command are those in its row of the page, in the same order."""
    keys = re.search(rf"^\| `{command}` \|(.*)\|$", PAGE.read_text("utf-8"), re.MULTILINE)
    named = [key for key in re.findall(r"`(\w+)`", keys[1]) if key in result]
    assert named == list(result)


def _rows(path):
    """The rows of a CSV file as JSON has them."""
    rows = pd.read_csv(path, dtype={"class": str}, float_precision="round_trip").to_dict("records")
    return [{k: None if pd.isna(v) else v for k, v in row.items()} for row in rows]


def test_evaluate(answer, trained_model, folders):
    result = answer(
        "evaluate", trained_model, "--data", folders / "clean_test", "--distortion", "blur:1.2"
    )
    test = load_image_folder(folders / "test", channels=1)
    model = keras.saving.load_model(trained_model)
    scores = model.predict(test.images.astype("float32"), verbose=0)
    right = int((scores.argmax(1) == test.labels).sum())
    low, high = result.pop("accuracy_low"), result.pop("accuracy_high")
    assert 0 < low < result["accuracy"] < high < 1
    assert result == {
        "accuracy": right / 100,
        "correct": right,
        "images": 100,
        "distortion": "Gaussian blur σ = 1.2",
    }


@pytest.mark.parametrize("more", [("--confidence", 0.8), ("--unpaired",), ()])
def test_rank(answer, trained_model, folders, tmp_path, more):
    out = tmp_path / "ranking"
    result = answer(
        "rank", trained_model, "--clean", folders / "clean", "--distorted", folders / "blurred",
        "--out", out, *more,
    )  # fmt: skip
    written = FilterRanking.load(out / "ranking.json")
    assert list(result) == ["layers", "files"]
    assert list(result["layers"]) == list(written)
    for name, layer in written.items():
        counts = layer.borda_counts
        assert result["layers"][name] == {
            "order": layer.order.tolist(),
            "borda_counts": None if counts is None else counts.tolist(),
            "mean_distance": layer.mean_distance.tolist(),
            "pairs": layer.pairs,
            "confidence": layer.confidence,
        }
    _are_all_files_of(result["files"], out)


def test_robustify(answer, trained_model, folders, tmp_path):
    out = tmp_path / "robust"
    result = answer(
        "robustify", trained_model, "--clean", folders / "clean",
        "--distorted", folders / "blurred", "--test", folders / "test", "--epochs", 1,
        "--out", out,
    )  # fmt: skip
    rows = []
    for images, whole in result["results"].items():
        by_class = whole.pop("by_class")
        rows.append({"images": images, "class": None, **whole})
        rows += [{"images": images, "class": name, **row} for name, row in by_class.items()]
    assert rows == _rows(out / "results.csv")
    source = keras.saving.load_model(trained_model)
    assert result["total_parameters"] == source.count_params()
    selected = FilterRanking.load(out / "ranking.json").select(fraction=0.25)
    assert result["selected_filters"] == {name: len(filters) for name, filters in selected.items()}
    # Of each filter selected its kernel and its bias.
    assert result["trained_parameters"] == sum(
        len(filters) * (np.prod(source.get_layer(name).kernel.shape[:3]) + 1)
        for name, filters in selected.items()
    )
    assert any("held out for early stopping" in note for note in result["notes"])
    _are_all_files_of(result["files"], out)


def test_compare(answer, trained_model, folders, tmp_path):
    out = tmp_path / "comparison"
    result = answer(
        "compare", trained_model, "--clean", folders / "clean",
        "--distorted", folders / "blurred", "--methods", "nothing,head,batch norm",
        "--seeds", 1, "--epochs", 1, "--jobs", 1, "--save-best", "--out", out,
    )  # fmt: skip
    # Of a single seed there are no intervals.
    assert result["leaderboard"][0]["distorted_accuracy_low"] is None
    assert result["leaderboard"] == _rows(out / "leaderboard.csv")
    assert list(result["left_out"]) == ["batch norm"]
    assert result["best"] in ("nothing", "head")
    assert result["recommendation"] in (out / "report.html").read_text("utf-8")
    assert any("were kept for the test" in note for note in result["notes"])
    _are_all_files_of(result["files"], out)


def test_demo(kerasft, short_demo, trained_model, tmp_path, monkeypatch):
    monkeypatch.setattr("kerasft.cli.demo._METHODS", {"most": "the quarter most affected"})
    trained = keras.saving.load_model(trained_model)
    monkeypatch.setattr("kerasft.cli.demo._train_baseline", lambda *_: trained)
    out = tmp_path / "demo"
    status, printed, err = kerasft("demo", "--quick", "--json", "--out", out)
    assert status == 0
    # What is being done is told beside the result.
    assert err.startswith("1. Training a small network")
    result = json.loads(printed)
    _is_documented("demo", result)
    assert result["results"] == _rows(out / "results.csv")
    assert result["before"]["distorted"] < result["before"]["clean"]
    _are_all_files_of(result["files"], out)


def _are_all_files_of(files, folder):
    assert files == sorted(str(path) for path in folder.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", "nowhere.keras", "--data", "nowhere"),
        ("rank", "nowhere.keras", "--clean", "nowhere", "--distortion", "blur:1"),
        ("robustify", "nowhere.keras", "--clean", "nowhere", "--distorted", "nowhere")
        + ("--out", "out"),
        ("compare", "nowhere.keras", "--clean", "nowhere", "--distorted", "nowhere"),
        ("demo", "--out", "."),
    ],
)
def test_an_error_is_one_line_on_standard_error(kerasft, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    status, out, err = kerasft(*arguments, "--json")
    assert (status, out) == (2, "")
    assert err.startswith("Error: ")
    assert err.count("\n") == 1


def test_json_knows_neither_arrays_nor_what_is_no_number(capsys, tmp_path):
    print_json({
        "accuracy": np.float32("nan"),
        "low": float("-inf"),
        "order": np.arange(2),
        "count": np.int64(3),
        "nested": {"é": (True, None, tmp_path)},
    })  # fmt: skip
    assert json.loads(capsys.readouterr().out) == {
        "accuracy": None,
        "low": None,
        "order": [0, 1],
        "count": 3,
        "nested": {"é": [True, None, str(tmp_path)]},
    }


@pytest.mark.parametrize("width", [60, 80])
def test_a_table_on_a_narrow_terminal_keeps_every_character(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    rows = [
        ["gradient recalibrated, kept", "100.0% (100.0–100.0)", "100.0%", "50,000", "12,345,678"],
        ["[bold]most", "71.1% (70.0–73.0)", "", "0", "345,678"],
    ]
    headings = ["distorted", "clean", "labels", "trained"]
    print_table("model.keras on [noisy] photos", "method", headings, rows)
    title, *lines = capsys.readouterr().out.splitlines()
    assert title.strip() == "model.keras on [noisy] photos"
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines[0]) <= width
    columns = zip(*(line.split("│")[1:-1] for line in lines if "│" in line), strict=True)
    shown = ["".join("".join(cells).split()) for cells in columns]
    assert shown == ["".join("".join(cells).split()) for cells in zip(*rows, strict=True)]
    # Numbers without an interval stand on one line.
    assert any("12,345,678" in line and "50,000" in line for line in lines)


def test_a_pipe_gets_neither_escape_codes_nor_progress(trained_model, folders, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "kerasft_cli", "robustify", trained_model]
        + ["--clean", folders / "clean_test", "--distorted", folders / "test"]
        + ["--epochs", "1", "--out", tmp_path / "robust"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
        env={**os.environ, "COLUMNS": "60", "PYTHONIOENCODING": "utf-8"},
    )
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith(f"{trained_model.name} on test")
    *table, trained = lines[:8]
    assert trained.startswith("Trained ")
    # What a page says of its numbers is said beside these too.
    assert lines[8].startswith("20 of the 100 distorted images were held out for early stopping")
    assert lines[9].startswith("No separate test images were given")
    assert lines[10].startswith("Filters were ranked on 80 pairs")
    assert lines[11].startswith("Clean accuracy was measured on the 20 clean images")
    assert lines[12].startswith("Wrote history.csv, ")
    assert len(lines) == 13
    assert max(map(len, table)) <= 60
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", done.stdout.decode())


@pytest.mark.parametrize("no_color", [False, True])
def test_a_terminal_gets_progress_and_colours_unless_told_otherwise(
    kerasft, trained_model, folders, tmp_path, monkeypatch, no_color
):
    # To rich, these make a terminal of whatever is written to.
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_COLOR", "1" if no_color else "")
    _, out, err = kerasft(
        "rank", trained_model, "--clean", folders / "clean_test", "--distortion", "blur:1",
        "--out", tmp_path / "ranking",
    )  # fmt: skip
    assert "\x1b[" in out
    # The progress bar comes and goes.
    assert "━" in err
    codes = {
        int(n) for found in re.findall(r"\x1b\[([\d;]+)m", out + err) for n in found.split(";")
    }
    assert bool(codes & {*range(30, 50), *range(90, 108)}) != no_color
    _, out, _ = kerasft("evaluate", trained_model, "--data", folders / "test", "--json")
    assert out.startswith("{")
    assert "\x1b" not in out


def _commands(command=cli, names=()):
    """Every command and group, by the words that call it."""
    yield names, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _commands(below, (*names, name))


COMMANDS = {" ".join(("kerasft", *names)): command for names, command in _commands()}


@pytest.mark.parametrize("words", COMMANDS)
def test_help_fits_a_terminal_of_80_columns(words, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    command = COMMANDS[words]
    context = click.Context(command, info_name=words, max_content_width=100)
    text = command.get_help(context)
    assert max(map(len, text.splitlines())) <= 80
    # Click cuts what is too long for a list of commands.
    assert "..." not in text.replace("[ARGS]...", "")
    assert not re.search(r"INTEGER|FLOAT|TEXT|RANGE|[<>]=", text)
    assert command is cli or f"      {words} " in command.help
    for parameter in command.params:
        assert isinstance(parameter, click.Argument) or parameter.help, parameter.name


# Inputs, what is done, where it runs, what is written.
ORDER = (
    "clean", "data", "distorted", "distortion", "distortions", "validation", "test",
    "clean_test", "confidence", "fraction", "which", "epochs", "patience", "batch_size",
    "unpaired", "features", "metric", "exemplars", "layers", "classes", "pixels", "seeds", "seed",
    "jobs", "quick", "save_best", "out", "force", "as_json",
)  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS)
def test_options_stand_in_the_same_order_in_every_command(words):
    names = [parameter.name for parameter in COMMANDS[words].params]
    assert [n for n in names if n in ORDER] == [n for n in ORDER if n in names]


def test_options_of_the_same_name_take_the_same_in_every_command():
    kinds = {}
    for command in COMMANDS.values():
        for option in command.params:
            if isinstance(option, click.Option):
                kind = (type(option.type), *option.opts)
                kinds.setdefault(option.name, set()).add(kind)
    assert not {name: found for name, found in kinds.items() if len(found) > 1}
    assert kinds["jobs"] == {(WholeNumber, "--jobs")}
