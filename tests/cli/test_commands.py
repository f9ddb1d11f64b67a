"""What the commands write and say."""

import html
import os
import pathlib
import re
import shlex
import subprocess
import sys
import unicodedata

import keras
import numpy as np
import pandas as pd
import pytest

from kerasft.cli import robustify
from kerasft.cli.input_folders import same_classes
from kerasft.cli.output_folder import output_folder
from kerasft.cli.pairs import find_pairs
from kerasft.datasets import load_image_folder, save_image_folder
from kerasft.distortions import GaussianBlur, parse_distortion
from kerasft.evaluation import predict_classes
from kerasft.finetuning import fine_tune
from kerasft.susceptibility import FilterRanking, rank_filters


def test_help_does_not_import_keras():
    code = (
        "import sys; from kerasft_cli.command import cli; "
        "cli.main(['robustify', '--help'], standalone_mode=False); "
        "assert not {'keras', 'kerasft', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--fraction" in done.stdout


def test_a_command_is_silent_but_for_its_result(trained_model, folders):
    done = subprocess.run(
        [sys.executable, "-m", "kerasft_cli", "evaluate", trained_model]
        + ["--data", folders / "clean_test"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.startswith("accuracy ")


def test_evaluate_gives_the_accuracy_that_keras_gives(kerasft, trained_model, folders):
    status, out, _ = kerasft("evaluate", trained_model, "--data", folders / "clean_test")
    folder = load_image_folder(folders / "clean_test", channels=1)
    model = keras.saving.load_model(trained_model)
    outputs = model.predict(folder.images.astype("float32"), verbose=0)
    right = int((outputs.argmax(1) == folder.labels).sum())
    assert status == 0
    assert f"{right} of 100 images" in out


@pytest.mark.parametrize("kind", ["jpeg:30", "shot:central"])
def test_evaluate_and_rank_take_every_distortion(kerasft, trained_model, folders, tmp_path, kind):
    clean = load_image_folder(folders / "clean_test", channels=1)
    distortion = parse_distortion(kind, seed=3)
    status, out, _ = kerasft(
        "evaluate", trained_model, "--data", folders / "clean_test", "--distortion", kind,
        "--seed", 3,
    )  # fmt: skip
    model = keras.saving.load_model(trained_model)
    right = int((predict_classes(model, distortion(clean.images)) == clean.labels).sum())
    assert status == 0
    assert f"{right} of 100 images, {distortion};" in out
    status, _, _ = kerasft(
        "rank", trained_model, "--clean", folders / "clean_test", "--distortion", kind,
        "--seed", 3, "--out", tmp_path / "ranking",
    )  # fmt: skip
    assert status == 0
    written = FilterRanking.load(tmp_path / "ranking" / "ranking.json")
    expected = rank_filters(model, clean.images, distortion(clean.images))
    for name, layer in expected.items():
        np.testing.assert_array_equal(written[name].borda_counts, layer.borda_counts)


def test_evaluate_distorts_when_asked(kerasft, trained_model, folders):
    _, out, _ = kerasft(
        "evaluate", trained_model, "--data", folders / "clean_test", "--distortion", "blur:1.2"
    )
    _, stored, _ = kerasft("evaluate", trained_model, "--data", folders / "test", "--seed", 3)
    # The same images, blurred on the way or before they were stored.
    assert out.split()[1] == stored.split()[1]
    assert "Gaussian blur σ = 1.2" in out


@pytest.mark.parametrize("source", ["files", "distortion"])
def test_rank_writes_the_ranking_of_rank_filters(kerasft, trained_model, folders, tmp_path, source):
    given = (
        ("--distorted", folders / "blurred") if source == "files" else ("--distortion", "blur:1.2")
    )
    status, out, _ = kerasft(
        "rank", trained_model, "--clean", folders / "clean", *given, "--out", tmp_path / "r",
        "--layers", "conv2,conv1",
    )  # fmt: skip
    assert status == 0
    assert "200 pairs" in out
    images = load_image_folder(folders / "clean", channels=1).images
    model = keras.saving.load_model(trained_model)
    expected = rank_filters(model, images, GaussianBlur(1.2), layers=["conv2", "conv1"])
    written = FilterRanking.load(tmp_path / "r" / "ranking.json")
    assert list(written) == ["conv2", "conv1"]
    for name in expected:
        np.testing.assert_array_equal(written[name].borda_counts, expected[name].borda_counts)
    table = pd.read_csv(tmp_path / "r" / "ranking.csv")
    pd.testing.assert_frame_equal(table, expected.to_frame(), check_dtype=False)


def test_robustify_improves_the_model_and_writes_everything(
    kerasft, trained_model, folders, tmp_path
):
    out = tmp_path / "robust"
    status, printed, _ = kerasft(
        "robustify", trained_model, "--clean", folders / "clean",
        "--distorted", folders / "blurred", "--test", folders / "test",
        "--clean-test", folders / "clean_test", "--epochs", 25, "--out", out,
    )  # fmt: skip
    assert status == 0
    assert {p.name for p in out.iterdir()} == {
        "robust.keras",
        "report.html",
        "ranking.csv",
        "ranking.json",
        "history.csv",
        "results.csv",
    }
    results = pd.read_csv(out / "results.csv")
    overall = results[results["class"].isna()].set_index("images")
    assert overall.loc["distorted", "after"] > overall.loc["distorted", "before"] + 0.1
    assert f"{overall.loc['distorted', 'after']:.1%}" in printed
    # The file is what was measured.
    model = keras.saving.load_model(out / "robust.keras")
    test = load_image_folder(folders / "test", channels=1)
    measured = (predict_classes(model, test.images) == test.labels).mean()
    assert measured == pytest.approx(overall.loc["distorted", "after"])
    # Same architecture; only the filters selected differ.
    source = keras.saving.load_model(trained_model)
    assert model.get_config() == source.get_config()
    ranking = FilterRanking.load(out / "ranking.json")
    for name, selected in ranking.select(fraction=0.25).items():
        before, after = source.get_layer(name).kernel, model.get_layer(name).kernel
        changed = np.flatnonzero(np.any(np.asarray(before) != np.asarray(after), axis=(0, 1, 2)))
        assert changed.tolist() == selected
    for name in ("dense", "probabilities"):
        for before, after in zip(
            source.get_layer(name).get_weights(), model.get_layer(name).get_weights(), strict=True
        ):
            assert before.tobytes() == after.tobytes()
    assert "distorted test images" in (out / "report.html").read_text("utf-8")
    assert not list(tmp_path.glob(".robust*"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--which", "all"), "all"),
        (("--fraction", 0.125), "most, 12.5% of each layer"),
        (("--which", "least", "--fraction", 0.004), "least, 0.4% of each layer"),
    ],
)
def test_a_page_tells_which_filters_were_trained(
    kerasft, trained_model, folders, tmp_path, monkeypatch, options, told
):
    pages = []
    monkeypatch.setattr(robustify, "render_report", lambda page: pages.append(page) or "")
    status, _, err = kerasft(
        "robustify", trained_model, "--clean", folders / "clean_test",
        "--distorted", folders / "test", "--epochs", 1, "--out", tmp_path / "out", *options,
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert pages[0].facts["Filters trained"] == told


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_training_that_ends_early_gives_the_cursor_back(
    kerasft, trained_model, folders, tmp_path, monkeypatch, error
):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise error("stop")

    def tune(*arguments, callbacks, **options):
        return fine_tune(*arguments, callbacks=[*callbacks, Stop()], **options)

    monkeypatch.setattr(robustify, "fine_tune", tune)
    status, _, err = kerasft(
        "robustify", trained_model, "--clean", folders / "clean_test",
        "--distorted", folders / "test", "--out", tmp_path / "out",
    )  # fmt: skip
    assert status == (130 if error is KeyboardInterrupt else 2)
    assert "Fine-tuning" in err
    assert err.rfind("\x1b[?25h") > err.rfind("\x1b[?25l") > 0


def test_robustify_is_the_same_for_the_same_seed(kerasft, trained_model, folders, tmp_path):
    weights = []
    for name in ("a", "b"):
        kerasft(
            "robustify", trained_model, "--clean", folders / "clean", "--seed", 5,
            "--distorted", folders / "blurred", "--epochs", 2, "--out", tmp_path / name,
        )  # fmt: skip
        weights.append(keras.saving.load_model(tmp_path / name / "robust.keras").get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_pairs_are_found_across_file_suffixes(kerasft, trained_model, folders, tmp_path):
    from PIL import Image

    for file in (folders / "clean").rglob("*.png"):
        target = tmp_path / "bmp" / file.parent.name / f"{file.stem}.bmp"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(file).save(target)
    status, out, err = kerasft(
        "rank", trained_model, "--clean", tmp_path / "bmp", "--distorted", folders / "blurred",
        "--out", tmp_path / "r",
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert "200 pairs" in out


def test_pairs_are_found_across_unicode_forms(tmp_path):
    for folder, form in (("clean", "NFC"), ("distorted", "NFD")):
        paths = [f"dog/{unicodedata.normalize(form, 'é')}.png", "dog/2.png"]
        save_image_folder(tmp_path / folder, np.zeros((2, 4, 4, 3), "uint8"), paths)
    twins = find_pairs(tmp_path / "clean", tmp_path / "distorted")[1]
    assert [unicodedata.normalize("NFC", path) for path in twins] == ["dog/2.png", "dog/é.png"]
    assert sorted(twins.values()) == ["dog/2.png", "dog/é.png"]


def test_classes_that_differ_in_their_unicode_form_alone_are_told(tmp_path):
    folders = [tmp_path / form for form in ("NFC", "NFD")]
    for folder in folders:
        path = f"{unicodedata.normalize(folder.name, 'café')}/0.png"
        save_image_folder(folder, np.zeros((1, 4, 4, 3), "uint8"), [path])
    with pytest.raises(ValueError, match=r"alone, in another Unicode form\.$"):
        same_classes(folders, None)


def test_force_replaces_our_files_and_keeps_the_others(kerasft, trained_model, folders, tmp_path):
    (tmp_path / "ranking.csv").write_text("old")
    (tmp_path / "mine.txt").write_text("keep")
    arguments = (
        "rank", trained_model, "--clean", folders / "clean_test", "--distortion", "blur:1",
        "--out", tmp_path,
    )  # fmt: skip
    status, _, err = kerasft(*arguments)
    assert status == 2
    assert "--force" in err
    assert (tmp_path / "ranking.csv").read_text() == "old"
    status, _, _ = kerasft(*arguments, "--force")
    assert status == 0
    assert (tmp_path / "ranking.csv").read_text().startswith("layer,")
    assert (tmp_path / "mine.txt").read_text() == "keep"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.txt", "ranking.csv", "ranking.json"]


def test_pixels_are_scaled_for_a_model_that_takes_0_to_1(kerasft, trained_model, folders, tmp_path):
    source = keras.saving.load_model(trained_model)
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, source(inputs * 255.0))
    model.save(tmp_path / "scaled.keras")
    _, expected, _ = kerasft("evaluate", trained_model, "--data", folders / "clean_test")
    status, out, _ = kerasft(
        "evaluate", tmp_path / "scaled.keras", "--data", folders / "clean_test",
        "--pixels", "0..1",
    )  # fmt: skip
    assert status == 0
    assert out == expected


def test_demo_quick_writes_a_robust_model(kerasft, short_demo, tmp_path, monkeypatch):
    arguments = ["demo", "--quick", "--out", str(tmp_path / "demo")]
    monkeypatch.setattr(sys, "argv", ["kerasft", *arguments])
    status, out, _ = kerasft(*arguments)
    assert status == 0
    page = (tmp_path / "demo" / "report.html").read_text("utf-8")
    assert f"kerasft {shlex.join(arguments)}" in html.unescape(page)
    assert {p.name for p in (tmp_path / "demo").iterdir()} == {
        "robust.keras",
        "ranking.csv",
        "results.csv",
        "demo.png",
        "report.html",
    }
    runs = pd.read_csv(tmp_path / "demo" / "results.csv")
    assert set(runs["method"]) == {"most", "least", "random", "all"}
    quarter = runs.loc[runs["method"] == "most", "trained_parameters"].item()
    assert quarter * 4 == runs.loc[runs["method"] == "all", "trained_parameters"].item()
    assert "the quarter most affected" in out


# `python -m kerasft_cli`, which says when training begins.
ANNOUNCED = """
import keras
from kerasft_cli.command import main

def announce(*arguments, fit=keras.Model.fit, **options):
    print("training", flush=True)
    return fit(*arguments, **options)

keras.Model.fit = announce
main()
"""


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_an_interrupt_leaves_nothing_behind(trained_model, folders, tmp_path):
    import signal
    import threading

    process = subprocess.Popen(
        [sys.executable, "-c", ANNOUNCED, "robustify", str(trained_model)]
        + ["--clean", str(folders / "clean"), "--distorted", str(folders / "blurred")]
        + ["--epochs", "100000", "--patience", "100000", "--out", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Tests that a script runs in the background are started with it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    # Closes the pipe and waits, so that a process that does not stop is no other test's burden.
    with process:
        try:
            assert process.stdout.readline() == "training\n"
            threading.Timer(1, process.send_signal, [signal.SIGINT]).start()
            _, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 130
    assert err.strip().splitlines()[-1] == "Interrupted; no file was left half-written."
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_while_writing_leaves_the_old_output(tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    (target / "a.csv").write_text("old")

    def write():
        with output_folder(target, force=True) as staging:
            (staging / "a.csv").write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert (target / "a.csv").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_in_the_place_of_a_file_leaves_the_old_output(tmp_path):
    target = tmp_path / "out"
    (target / "e.csv").mkdir(parents=True)
    (target / "a.csv").write_text("old")

    def write():
        with output_folder(target, force=True) as staging:
            for name in ("a.csv", "e.csv", "z.csv"):
                (staging / name).write_text("new")

    expected = f"Expected files to replace in {target}. Received: e.csv, which is a folder; nothing"
    with pytest.raises(ValueError, match=re.escape(expected)):
        write()
    assert (target / "a.csv").read_text() == "old"
    assert sorted(file.name for file in target.iterdir()) == ["a.csv", "e.csv"]


def test_the_output_folder_may_lie_in_folders_that_do_not_exist(tmp_path):
    with output_folder(tmp_path / "a" / "b", force=False) as staging:
        (staging / "x").write_text("1")
    assert pathlib.Path(tmp_path, "a", "b", "x").read_text() == "1"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
