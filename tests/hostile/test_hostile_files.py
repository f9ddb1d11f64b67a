"""Folders and images that are broken, odd or made to do harm."""

import os
import struct
import sys
import zlib

import numpy as np
import pandas as pd
import pytest
from hostile_material import bound_by_permissions, contents, robustify
from PIL import Image

from kerasft.datasets import load_image_folder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="makes links and pipes")


def png(width, height, data=b""):
    """A PNG file that says it is of this size, with whatever data."""

    def chunk(kind, content):
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data)


def truncated(suffix):
    def write(path):
        pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype("uint8")
        file = path.with_suffix(suffix)
        path.unlink()
        Image.fromarray(pixels).save(file)
        file.write_bytes(file.read_bytes()[:1500])

    return write


def linked_to(target):
    def write(path):
        path.unlink()
        path.symlink_to(target)

    return write


def piped(path):
    path.unlink()
    os.mkfifo(path)


# What becomes of clean/dog/3.png, and what is said of it.
IMAGES = {
    "zero bytes": (lambda path: path.write_bytes(b""), "cannot identify"),
    "text": (lambda path: path.write_text("<html>404</html>"), "cannot identify"),
    "truncated png": (truncated(".png"), "truncated"),
    "truncated jpeg": (truncated(".jpg"), "truncated"),
    "100 megapixels, as it says": (
        lambda path: path.write_bytes(png(10_000, 10_000)),
        "dog/3.png",
    ),
    "3600 megapixels, as it says": (
        lambda path: path.write_bytes(png(60_000, 60_000)),
        "DecompressionBombError",
    ),
    "data that is no data": (lambda path: path.write_bytes(png(8, 8, b"\xff" * 99)), "dog/3.png"),
    "no pixels": (lambda path: path.write_bytes(png(0, 0)), "dog/3.png"),
    "a bitmap without end": (
        lambda path: path.with_suffix(".bmp").write_bytes(
            b"BM" + struct.pack("<IIIIiiHHIIIIII", 0, 0, 54, 40, 2**30, 2**30, 1, 24, *[0] * 6)
        ),
        "dog/3.bmp",
    ),
    "link to itself": (linked_to("3.png"), "dog/3.png"),
    "link to nothing": (linked_to("nothing.png"), "dog/3.png"),
    "link to a device": (linked_to("/dev/zero"), "no regular file"),
    "a pipe": (piped, "no regular file"),
}


@pytest.mark.parametrize("case", IMAGES)
def test_an_image_that_cannot_be_read_is_named(refused, box, case):
    spoil, message = IMAGES[case]
    spoil(box.clean / "dog" / "3.png")
    words = ("rank", box.model, "--clean", box.clean, "--distortion", "awgn:15", "--out", box.out)
    for arguments in (words, ("evaluate", box.model, "--data", box.clean)):
        refused(arguments, message)


def nested_empty(box):
    for name in ("cat", "dog"):
        for file in (box.noisy / name).iterdir():
            file.unlink()
        (box.noisy / name / "a" / "b" / "c").mkdir(parents=True)


def looped_class(box):
    for file in (box.noisy / "dog").iterdir():
        file.unlink()
    (box.noisy / "dog").rmdir()
    (box.noisy / "dog").symlink_to("dog")


def looped_folder(box):
    box.noisy = box.path / "loop"
    box.noisy.symlink_to("loop")


def two_twins(box):
    (box.clean / "cat" / "0.png").rename(box.clean / "cat" / "0.bmp")
    (box.clean / "cat" / "0.gif").write_bytes(b"x")


def third_class(box):
    (box.noisy / "eel").mkdir()
    Image.new("RGB", (8, 8)).save(box.noisy / "eel" / "0.png")


def few(box):
    for name in ("cat", "dog"):
        for number in range(2, 6):
            (box.noisy / name / f"{number}.png").unlink()


def no_images_but_their_names(box):
    for file in box.noisy.rglob("*.png"):
        file.rename(file.with_suffix(".png.txt"))


FOLDERS = {
    "nested empty folders": (nested_empty, "Received none"),
    "a class that links to itself": (looped_class, "noisy. Received: dog in "),
    "a folder that links to itself": (looped_folder, "which does not exist"),
    "two twins": (two_twins, "Expected one clean twin of cat/0.png"),
    "one class more": (third_class, "noisy. Received: eel in "),
    "four images": (few, "Expected at least 5 distorted images"),
    "no images by their names": (no_images_but_their_names, "Received none"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_that_does_not_serve_is_refused(refused, box, case):
    spoil, message = FOLDERS[case]
    spoil(box)
    refused(robustify(box), message)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
def test_a_class_whose_name_is_no_text_is_refused(refused, box):
    os.rename(os.fsencode(box.noisy / "dog"), os.fsencode(box.noisy) + b"/d\xf6g")
    refused(robustify(box), "Expected class folders with names in UTF-8. Received: 'd\\udcf6g'")


LOCKED = {
    "image": ("noisy/dog/3.png", "PermissionError"),
    "class": ("noisy/dog", "Expected a folder that can be read. Received: "),
    "folder": ("noisy", "Permission denied"),
    "model": ("model.keras", "Permission denied"),
}


@pytest.mark.parametrize("case", LOCKED)
def test_what_may_not_be_read_is_refused_and_not_passed_over(kerasft, box, case):
    name, message = LOCKED[case]
    mode = (box.path / name).stat().st_mode
    (box.path / name).chmod(0)
    try:
        with bound_by_permissions():
            status, out, err = kerasft(*robustify(box))
    finally:
        (box.path / name).chmod(mode)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert not box.out.exists()


def out_of(name):
    def change(box):
        box.out = box.path / name

    return change


def out_that_links(target):
    def change(box):
        box.out.symlink_to(target)

    return change


OUTS = {
    "a file": (out_of("model.keras"), "which is a file"),
    "below a file": (out_of("model.keras/out"), "Expected a place that can be written to"),
    "a link to nothing": (out_that_links("nothing"), "a link that leads nowhere"),
    "a link to itself": (out_that_links("out"), "a link that leads nowhere"),
    "300 bytes": (out_of("o" * 300), "at most 230 bytes. Received: one of 300"),
    "250 bytes": (out_of("ö" * 125), "at most 230 bytes. Received: one of 250"),
    "the images": (out_of("clean"), "--force"),
}


@pytest.mark.parametrize("case", OUTS)
def test_an_output_folder_that_cannot_be_is_refused_before_any_work(refused, box, case):
    change, message = OUTS[case]
    change(box)
    # A model that does not exist: it would be found missing first.
    box.model = box.path / "missing.keras"
    refused(robustify(box), message)


def test_an_output_folder_that_may_not_be_written_to_is_refused(kerasft, box):
    place = box.path / "locked"
    place.mkdir()
    place.chmod(0o500)
    box.out = place / "out"
    with bound_by_permissions():
        status, _, err = kerasft(*robustify(box))
    assert (status, err.count("\n")) == (2, 1)
    assert f"Expected a place that can be written to. Received: {place}." in err


# What is odd and fine all the same.


def test_images_of_every_kind_are_read_together(kerasft, box):
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 4)).astype("uint8")
    cat = box.clean / "cat"
    frames = [Image.fromarray(pixels[..., :3] // n) for n in (1, 2, 3)]
    frames[0].save(cat / "animated.gif", save_all=True, append_images=frames[1:])
    frames[0].convert("CMYK").save(cat / "cmyk.jpg")
    frames[0].convert("P").save(cat / "palette.png", transparency=3)
    Image.fromarray(pixels).save(cat / "alpha.png")
    Image.fromarray(pixels[..., 0].astype("uint16") * 257).save(cat / "deep.png")
    Image.new("1", (8, 8)).save(cat / "bits.bmp")
    (cat / ("ö日" * 48 + ".png")).write_bytes((cat / "0.png").read_bytes())
    (cat / ("n" * 251 + ".png")).write_bytes((cat / "0.png").read_bytes())
    (cat / "again").symlink_to(box.clean, target_is_directory=True)
    status, out, err = kerasft("evaluate", box.model, "--data", box.clean)
    assert (status, err) == (0, "")
    assert "of 20 images" in out
    first = load_image_folder(box.clean, image_size=(8, 8), paths=["cat/animated.gif"])
    with Image.open(cat / "animated.gif") as frame:
        np.testing.assert_array_equal(first.images[0], np.asarray(frame.convert("RGB")))


def test_a_photograph_of_100_megapixels_is_read_without_a_warning(kerasft, box):
    Image.new("L", (10_000, 10_000)).save(box.clean / "cat" / "vast.png")
    status, out, err = kerasft("evaluate", box.model, "--data", box.clean)
    assert (status, err) == (0, "")
    assert "of 13 images" in out


HOSTILE_CLASSES = ("=HYPERLINK(A1)", "<script>alert(1)<", "[red]dog", "-1", "日本語 🐈", "@SUM(1)")


def test_class_names_are_text_and_nothing_else(kerasft, box):
    import keras

    for folder in (box.clean, box.noisy):
        (folder / "cat").rename(folder / HOSTILE_CLASSES[0])
        (folder / "dog").rename(folder / HOSTILE_CLASSES[1])
        for name in HOSTILE_CLASSES[2:]:
            (folder / name).mkdir()
            for number in range(4):
                Image.new("RGB", (8, 8), (40 * number, 0, 9)).save(folder / name / f"{number}.png")
    box.noisy = box.noisy.rename(box.path / "[bold]noisy")
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, name="-conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(6, "softmax", kernel_initializer="zeros"),
        ]
    )
    model.save(box.model)
    before = contents(box.clean)
    test = box.path / "test"
    for file in box.noisy.rglob("*.png"):
        target = test / file.parent.name / f"test{file.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    status, out, err = kerasft(*robustify(box, "--test", test))
    assert status == 0, err
    assert "model.keras on [bold]noisy" in out
    results = pd.read_csv(box.out / "results.csv", dtype=str, keep_default_na=False)
    written = ("'=HYPERLINK(A1)", "<script>alert(1)<", "[red]dog", "-1", "日本語 🐈", "'@SUM(1)")
    assert set(results["class"]) == {"", *written}
    assert set(pd.read_csv(box.out / "ranking.csv")["layer"]) == {"'-conv"}
    page = (box.out / "report.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;" in page
    status, out, _ = kerasft(
        "rank", box.model, "--clean", box.clean, "--distortion", "awgn:15",
        "--out", box.path / "ranked",
    )  # fmt: skip
    assert status == 0
    assert "-conv" in out
    assert contents(box.clean) == before
