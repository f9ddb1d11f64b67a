"""scripts/distort_images.py on pictures as people have them."""

import sys

import distort_images
import numpy as np
import pytest
from PIL import Image

from kerasft.datasets import load_image_folder
from kerasft.distortions import gaussian_blur


@pytest.fixture
def photos(tmp_path):
    """Pictures of two sizes in two classes."""
    generator = np.random.default_rng(0)
    for name, size in (("cat/a.jpg", (20, 24)), ("cat/b.png", (8, 8)), ("dog/c.png", (8, 8))):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 255, (*size, 3), "uint8")).save(path)
    return tmp_path / "photos"


@pytest.fixture
def distort(monkeypatch, photos):
    def call(out, *options, data=photos):
        arguments = ["--data", data, "--out", out, "--distortion", "blur:1", *options]
        monkeypatch.setattr(sys, "argv", ["distort_images.py", *map(str, arguments)])
        distort_images.main()

    return call


def test_pictures_are_resized_then_distorted_and_keep_their_paths(distort, photos, tmp_path):
    distort(tmp_path / "out", "--image-size", 12, 10)
    written = load_image_folder(tmp_path / "out")
    assert written.paths == ("cat/a.png", "cat/b.png", "dog/c.png")
    expected = gaussian_blur(load_image_folder(photos, image_size=(12, 10)).images, 1)
    np.testing.assert_array_equal(written.images, expected)


def test_pictures_without_colour_get_noise_without_colour(distort, tmp_path):
    gray = np.full((32, 32), 128, "uint8")
    for name, mode in (("cat/a.png", "L"), ("cat/b.png", "RGB")):
        path = tmp_path / "gray" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(gray).convert(mode).save(path)
    distort(tmp_path / "out", "--distortion", "awgn:15", data=tmp_path / "gray")
    written = load_image_folder(tmp_path / "out", channels=1).images
    assert written.std() == pytest.approx(15, rel=0.05)
    # One picture with colour, and all have noise of their own in each channel.
    Image.fromarray(np.dstack([gray, gray, gray + 1])).save(tmp_path / "gray/cat/c.png")
    distort(tmp_path / "colour", "--distortion", "awgn:15", data=tmp_path / "gray")
    written = load_image_folder(tmp_path / "colour", channels=1).images
    assert written.std() == pytest.approx(15 * np.linalg.norm([0.299, 0.587, 0.114]), rel=0.05)


def test_two_pictures_that_would_be_one_copy_are_named(distort, photos, tmp_path, capsys):
    (photos / "cat/a.png").write_bytes((photos / "cat/b.png").read_bytes())
    message = _refused(distort, capsys, tmp_path / "out", "--image-size", 8, 8)
    assert message.endswith("Expected a path for each image. Received: cat/a.png, 2 times.")


def _refused(distort, capsys, *arguments, **options):
    with pytest.raises(SystemExit) as stopped:
        distort(*arguments, **options)
    assert stopped.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_bad_input_is_one_line(distort, tmp_path, capsys):
    out = tmp_path / "out"
    assert "images of one size" in _refused(distort, capsys, out)
    assert "nowhere" in _refused(distort, capsys, out, data=tmp_path / "nowhere")
    assert not out.exists()


def test_a_class_of_which_nothing_is_drawn_has_its_folder(distort, tmp_path):
    distort(tmp_path / "out", "--count", 1, "--image-size", 8, 8)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["cat", "dog"]
    assert len(list((tmp_path / "out").rglob("*.png"))) == 1


def test_copies_among_the_images_are_refused(distort, photos, capsys):
    message = _refused(distort, capsys, photos / "out", "--image-size", 8, 8)
    assert "output folder outside of the image folders" in message
    assert not (photos / "out").exists()


def test_a_folder_with_other_copies_is_left_alone(distort, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    distort(out, "--image-size", 8, 8)
    before = {path: path.read_bytes() for path in out.rglob("*.png")}
    message = _refused(distort, capsys, out, "--image-size", 9, 9)
    assert "Expected a new or empty folder to write to." in message
    assert {path: path.read_bytes() for path in out.rglob("*.png")} == before
