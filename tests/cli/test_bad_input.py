"""Each bad input gets one clear line, status 2, and nothing is written."""

import shutil

import keras
import numpy as np
import pytest

from kerasft.cli import classifier, demo
from kerasft.datasets import save_image_folder


def _robustify(model, clean, distorted, out, *more):
    return ("robustify", model, "--clean", clean, "--distorted", distorted, "--out", out, *more)


def _model(path, inputs=(8, 8, 1), classes=10, layer=None):
    x = keras.Input(inputs)
    y = keras.layers.Conv2D(4, 3, name="conv")(x)
    y = layer(y) if layer else y
    y = keras.layers.Dense(classes, activation="softmax")(keras.layers.Flatten()(y))
    keras.Model(x, y).save(path)
    return path


def _truncated_jpeg(clean, folder):
    from PIL import Image

    generator = np.random.default_rng(0)
    for name in "0123456789":
        (folder / name).mkdir(parents=True)
        pixels = generator.integers(0, 255, (40, 40, 3), "uint8")
        Image.fromarray(pixels).save(folder / name / "x.jpg")
    file = folder / "3" / "x.jpg"
    file.write_bytes(file.read_bytes()[:700])
    return folder


def _no_classes(clean, folder):
    folder.mkdir()
    for file in list(clean.rglob("*.png"))[:5]:
        shutil.copy(file, folder)
    return folder


def _empty(clean, folder):
    folder.mkdir()
    return folder


def _empty_classes(clean, folder):
    for name in "0123456789":
        (folder / name).mkdir(parents=True)
    return folder


def _nine_classes(clean, folder):
    shutil.copytree(clean, folder)
    shutil.rmtree(folder / "9")
    return folder


def _no_pairs(clean, folder):
    images = np.zeros((10, 8, 8, 1), "uint8")
    save_image_folder(folder, images, [f"{i}/other{i}.png" for i in range(10)])
    return folder


def _missing(clean, folder):
    return folder


def _file(clean, folder):
    folder.write_text("x")
    return folder


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_truncated_jpeg, "3/x.jpg"),
        (_no_classes, "one subfolder per class"),
        (_empty, "one subfolder per class"),
        (_empty_classes, "Expected image files"),
        (_nine_classes, "class folders"),
        (_no_pairs, "files with the same path below the clean and the distorted folder"),
        (_missing, "does not exist"),
        (_file, "which is a file"),
    ],
)
def test_bad_folders(kerasft, trained_model, folders, tmp_path, make, message):
    bad = make(folders / "clean", tmp_path / "bad")
    # Pairs that are both damaged, since there are none of it in the clean folder.
    clean = shutil.copytree(bad, tmp_path / "c") if make is _truncated_jpeg else folders / "clean"
    _refused(kerasft(*_robustify(trained_model, clean, bad, tmp_path / "out")), message, tmp_path)


def test_folders_with_different_classes_are_named(kerasft, trained_model, folders, tmp_path):
    nine = _nine_classes(folders / "clean", tmp_path / "nine")
    clean, blurred, test = (folders / name for name in ("clean", "blurred", "test"))
    words = ("--clean", clean, "--distorted", nine, "--out", tmp_path / "out")
    message = f"the same class folders in {clean} and {nine}. Received: 9 in {clean} alone."
    for command in (("rank",), ("rank", "--unpaired"), ("robustify",)):
        _refused(kerasft(command[0], trained_model, *words, *command[1:]), message, tmp_path)
    message = f"the same class folders in {clean} and {nine}. Received: 9 in {clean} alone."
    _refused(kerasft("compare", trained_model, *words), message, tmp_path)
    (nine / "nine").mkdir()
    words = ("--clean", clean, "--distorted", blurred, "--out", tmp_path / "out")
    message = f"{clean} and {nine}. Received: 9 in {clean} alone; nine in {nine} alone."
    for command in ("robustify", "compare"):
        for option in ("--validation", "--test", "--clean-test"):
            _refused(kerasft(command, trained_model, *words, option, nine), message, tmp_path)
    _refused(
        kerasft("compare", trained_model, *words, "--test", test, "--clean-test", nine),
        message,
        tmp_path,
    )


@pytest.mark.parametrize(
    "command", [("rank",), ("rank", "--unpaired"), ("robustify",), ("compare",)]
)
def test_one_folder_as_clean_and_as_distorted(kerasft, trained_model, folders, tmp_path, command):
    same = folders / "test" / ".." / "clean"
    done = kerasft(
        command[0], trained_model, "--clean", folders / "clean", "--distorted", same,
        "--out", tmp_path / "out", *command[1:],
    )  # fmt: skip
    _refused(done, f"Received: {folders / 'clean'} and {same}, which are the same.", tmp_path)


@pytest.mark.parametrize("below", [".", "out", "3/deeper/out"])
def test_an_output_folder_in_a_folder_of_images(kerasft, trained_model, folders, tmp_path, below):
    for name in ("clean", "blurred", "test", "clean_test"):
        shutil.copytree(folders / name, tmp_path / name)
    before = sorted(tmp_path.rglob("*"))
    clean, blurred = ("--clean", tmp_path / "clean"), ("--distorted", tmp_path / "blurred")
    pairs = (*clean, *blurred)
    test, clean_test = tmp_path / "test", tmp_path / "clean_test"
    cases = [
        (("rank", trained_model, *clean, "--distortion", "blur:1"), "clean"),
        (("rank", trained_model, *pairs), "clean"),
        (("rank", trained_model, *pairs), "blurred"),
        (("reproduce", "table1", trained_model, "--data", tmp_path / "clean"), "clean"),
        (("reproduce", "figure5", "--data", tmp_path), "test"),
    ]
    for command in ("robustify", "compare"):
        further = ("--validation", test, "--test", test, "--clean-test", clean_test)
        for folder in ("clean", "blurred", "test", "clean_test"):
            cases.append(((command, trained_model, *pairs, *further), folder))
    for words, folder in cases:
        out = tmp_path / folder / below
        force = () if words[0] == "reproduce" else ("--force",)
        done = kerasft(*words, "--out", out, *force)
        _refused(done, f"outside of the image folders. Received: {out}, in", tmp_path)
        assert sorted(tmp_path.rglob("*")) == before


def test_fewer_classes_than_the_model_has(kerasft, folders, trained_model, tmp_path):
    small = _nine_classes(folders / "clean", tmp_path / "nine")
    done = kerasft("evaluate", trained_model, "--data", small)
    _refused(done, "Expected 10 class folders", tmp_path)
    # They are counted before images are decoded.
    (small / "3" / "damaged.png").write_bytes(b"")
    done = kerasft("evaluate", trained_model, "--data", small)
    _refused(done, "Expected 10 class folders", tmp_path)


def test_a_model_without_convolutions_is_named(kerasft, folders, tmp_path):
    model = tmp_path / "dense.keras"
    x = keras.Input((8, 8, 1))
    keras.Model(x, keras.layers.Dense(10, "softmax")(keras.layers.Flatten()(x))).save(model)
    way_out = "Conv2D layers, or --layers to name other convolutions. Received: "
    clean, out = ("--clean", folders / "clean"), ("--out", tmp_path / "out")
    done = kerasft("rank", model, *clean, "--distortion", "blur:1", *out)
    _refused(done, f"{way_out}{model}.", tmp_path)
    done = kerasft("reproduce", "table1", model, "--data", folders / "clean", *out)
    _refused(done, f"{way_out}{model}.", tmp_path)
    done = kerasft("robustify", model, *clean, "--distorted", folders / "blurred", *out)
    _refused(done, f"Expected a model with Conv2D layers. Received: {model}.", tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--fraction", "0"), "Expected --fraction over 0 and at most 1. Received: 0."),
        (("--fraction", "1.5"), "Received: 1.5."),
        (("--fraction", "nan"), "Received: nan."),
        (("--fraction", "-0.25"), "Received: -0.25."),
        (("--layers", "conv9"), "Received: 'conv9'"),
        (("--layers", "dense"), "Received: 'dense', a Dense."),
        (("--layers", "conv1,,conv2"), "names separated by commas"),
        (("--classes", "a,b"), "class folders"),
        (("--which", "best"), "'best'"),
        (("--seed", "-1"), "-1"),
        (("--pixels", "0..1"), "it seems --pixels 0..255"),
        (("--pixels=-1..1",), "it seems --pixels 0..255"),
        (("--validation", "nowhere"), "nowhere"),
        (("--frobnicate",), "--frobnicate"),
    ],
)
def test_bad_options(kerasft, trained_model, folders, tmp_path, options, message):
    done = kerasft(
        *_robustify(
            trained_model, folders / "clean", folders / "blurred", tmp_path / "out", *options
        )
    )
    _refused(done, message, tmp_path)


def test_classes_in_another_order_are_not_blamed_on_the_pixels(monkeypatch):
    labels = np.arange(100) % 2
    right = {128.0: 9, 0.5: 30, 0.0: 9}

    def predict(model, images):
        # Of 0 to 255 the middle.
        count = right[round(float(images.mean()), 1)]
        return np.where(np.arange(100) < count, labels, 1 - labels)

    monkeypatch.setattr(classifier, "predict_classes", predict)
    images = np.full((100, 8, 8, 1), 128, "uint8")
    found = classifier.Classifier(None, "-1..1", None, 1, classes=2)
    # 30% is more than three times 9%, but less than by chance.
    found.check_pixels(images, labels)
    right[0.5] = 80
    with pytest.raises(ValueError, match=r"it seems --pixels 0\.\.1 \(accuracy 80%"):
        found.check_pixels(images, labels)


@pytest.mark.parametrize("layers", ["conv9", "depthwise"])
def test_layers_are_refused_before_images_are_read(kerasft, tmp_path, layers):
    depthwise = keras.layers.DepthwiseConv2D(3, name="depthwise")
    model = _model(tmp_path / "model.keras", layer=depthwise)
    done = kerasft(
        *_robustify(
            model, tmp_path / "no", tmp_path / "where", tmp_path / "out", "--layers", layers
        )
    )
    _refused(done, f"Received: '{layers}'", tmp_path)
    # What the command has no option for is no advice.
    assert "trainable=" not in done[2]
    if layers == "conv9":
        damaged = _truncated_jpeg(None, tmp_path / "damaged")
        done = kerasft(
            "rank", model, "--clean", damaged, "--distortion", "blur:1", "--layers", layers,
            "--out", tmp_path / "out",
        )  # fmt: skip
        _refused(done, "Received: 'conv9'", tmp_path)
        done = kerasft(
            "compare", model, "--clean", damaged,
            "--distorted", shutil.copytree(damaged, tmp_path / "damaged_too"),
            "--layers", layers, "--out", tmp_path / "out",
        )  # fmt: skip
        _refused(done, "Received: 'conv9'", tmp_path)


def test_a_table_of_more_images_than_there_are_is_refused_before_they_are_read(kerasft, tmp_path):
    done = kerasft(
        "reproduce", "table1", _model(tmp_path / "model.keras"), "--size", "30",
        "--data", _truncated_jpeg(None, tmp_path / "damaged"), "--out", tmp_path / "out",
    )  # fmt: skip
    _refused(done, "Expected at least 60 images for two sets of --size 30. Received: ", tmp_path)


def test_bad_model_files(kerasft, folders, tmp_path):
    (tmp_path / "text.keras").write_text("not a model")
    (tmp_path / "text.h5").write_text("not a model")
    (tmp_path / "model.txt").write_text("not a model")
    (tmp_path / "folder.keras").mkdir()
    cases = {
        tmp_path / "missing.keras": "which does not exist",
        tmp_path / "text.keras": "it is no whole zip archive; it may be cut off",
        tmp_path / "text.h5": "Expected a Keras model file",
        tmp_path / "model.txt": "Expected a .keras, .h5 or .hdf5 file",
        tmp_path / "folder.keras": "Expected a .keras, .h5 or .hdf5 file",
        _model(tmp_path / "rgb.keras", (8, 8, 2)): "1, 3 or 4 channels",
        _model(tmp_path / "nine.keras", classes=9): "Expected 9 class folders",
    }
    lambda_model = _model(tmp_path / "lambda.keras", layer=keras.layers.Lambda(lambda x: x * 2))
    cases[lambda_model] = "Python code"

    class Mine(keras.layers.Layer):
        def call(self, inputs):
            return inputs

    # Whose name Keras says after the whole configuration of the layer.
    cases[_model(tmp_path / "mine.keras", layer=Mine())] = "Could not locate class 'Mine'"
    for path, message in cases.items():
        done = kerasft(*_robustify(path, folders / "clean", folders / "blurred", tmp_path / "out"))
        _refused(done, message, tmp_path)


def test_an_existing_output_folder_is_not_touched(kerasft, trained_model, folders, tmp_path):
    out = tmp_path / "precious"
    out.mkdir()
    (out / "robust.keras").write_text("precious")
    done = kerasft(*_robustify(trained_model, folders / "clean", folders / "blurred", out))
    _refused(done, "--force", tmp_path)
    assert (out / "robust.keras").read_text() == "precious"
    done = kerasft(
        *_robustify(trained_model, folders / "clean", folders / "blurred", out / "robust.keras")
    )
    _refused(done, "which is a file", tmp_path)


@pytest.mark.parametrize(
    ("command", "options", "names"),
    [
        ("rank", ("--distorted", "d"), ("ranking.json", "ranking.csv")),
        (
            "robustify",
            ("--distorted", "d"),
            (
                "robust.keras", "ranking.json", "ranking.csv", "results.csv", "history.csv",
                "report.html",
            ),
        ),
        (
            "compare",
            ("--distorted", "d", "--save-best"),
            ("comparison.csv", "leaderboard.csv", "report.html", "best.keras"),
        ),
    ],
)  # fmt: skip
def test_a_folder_in_the_place_of_an_output_is_refused_before_the_inputs_are_looked_at(
    kerasft, tmp_path, command, options, names
):
    for name in names:
        out = tmp_path / name.replace(".", "_")
        (out / name).mkdir(parents=True)
        status, printed, err = kerasft(
            command, "no.keras", "--clean", "c", *options, "--out", out, "--force"
        )
        assert (status, printed, err.count("\n")) == (2, "", 1)
        assert f"Received: {name}, which is a folder" in err
        assert [x.name for x in out.iterdir()] == [name]


@pytest.mark.parametrize(
    "name", ["robust.keras", "ranking.csv", "results.csv", "demo.png", "report.html"]
)
def test_a_folder_in_the_place_of_an_output_of_the_demo(kerasft, tmp_path, monkeypatch, name):
    # No training comes first.
    monkeypatch.setattr(demo, "_train_baseline", None)
    (tmp_path / name).mkdir()
    status, _, err = kerasft("demo", "--out", tmp_path, "--force")
    assert (status, f"Received: {name}, which is a folder" in err) == (2, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "one of --distorted DIR and --distortion KIND"),
        (("--distorted", "x", "--distortion", "awgn:15"), "one of --distorted"),
        (("--distortion", "awgn"), "Expected a distortion"),
        (("--distortion", "awgn:loud"), "Expected a distortion"),
        (("--distortion", "awgn:-1"), "at least 0"),
        (("--distortion", "fog:1"), "Expected a distortion"),
        (("--distortion", "jpeg:0"), "from 1 to 100. Received: 'jpeg:0'"),
        (("--distortion", "motion:9"), "at most 8, the longer side"),
    ],
)
def test_bad_distortions(kerasft, trained_model, folders, tmp_path, options, message):
    done = kerasft(
        "rank", trained_model, "--clean", folders / "clean", "--out", tmp_path / "out", *options
    )
    _refused(done, message, tmp_path)


def _refused(done, message, tmp_path):
    status, out, err = done
    assert status == 2, err
    assert message in err
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert out == ""
    assert not (tmp_path / "out").exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
