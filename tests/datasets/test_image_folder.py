import os
import pathlib
import struct
import zlib

import keras
import numpy as np
import pytest
from PIL import Image

from kerasft.datasets import list_image_folder, load_image_folder, save_image_folder

links = pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="needs links")


def pixels(height=10, width=14, channels=3, seed=0):
    shape = (height, width, channels)[: 3 if channels > 1 else 2]
    return np.random.default_rng(seed).integers(0, 256, shape).astype("uint8")


def write(path, array=None, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels() if array is None else array)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path):
    """Two classes with two images each."""
    for name in ("cat/a.png", "cat/b.png", "dog/a.png", "dog/c.png"):
        write(tmp_path / "images" / name, pixels(seed=len(name)))
    return tmp_path / "images"


def palette(path):
    write(path, mode="P")


def palette_with_transparent_color(path):
    write(path, mode="P", transparency=7)


def palette_with_transparencies(path):
    write(path, mode="P", transparency=bytes(range(256)))


KINDS = {
    "a.jpg": write,
    "a.jpeg": write,
    "a.JPG": lambda path: write(path, format="JPEG"),
    "a.png": write,
    "a.PnG": lambda path: write(path, format="PNG"),
    "a.bmp": write,
    "a.gif": write,
    "gray.png": lambda path: write(path, mode="L"),
    "gray.jpg": lambda path: write(path, mode="L"),
    "gray.gif": lambda path: write(path, mode="L"),
    "rgba.png": lambda path: write(path, pixels(channels=4)),
    "gray with alpha.png": lambda path: write(path, mode="LA"),
    "gray with transparent level.png": lambda path: write(path, mode="L", transparency=7),
    "black and white.png": lambda path: write(path, mode="1"),
    "palette.png": palette,
    "transparent.png": palette_with_transparent_color,
    "transparencies.png": palette_with_transparencies,
    "transparent.gif": palette_with_transparent_color,
    "cmyk.jpg": lambda path: write(path, mode="CMYK"),
    "progressive.jpg": lambda path: write(path, progressive=True),
}


# Pillow warns of one palette that Keras decodes to the same pixels all the same.
@pytest.mark.filterwarnings("ignore:Palette images with Transparency:UserWarning")
@pytest.mark.parametrize("image_size", [None, (10, 14), (7, 5), (32, 32)])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", KINDS)
def test_file_is_decoded_and_resized_as_keras_does(tmp_path, name, channels, image_size):
    KINDS[name](tmp_path / "class" / name)
    folder = load_image_folder(tmp_path, channels=channels, image_size=image_size)
    expected = keras.utils.load_img(
        tmp_path / "class" / name,
        color_mode={1: "grayscale", 3: "rgb", 4: "rgba"}[channels],
        target_size=image_size,
        interpolation="bilinear",
    )
    expected = np.asarray(expected).reshape(*(image_size or (10, 14)), channels)
    assert folder.images.dtype == np.uint8
    np.testing.assert_array_equal(folder.images, expected[np.newaxis])


@pytest.mark.parametrize("name", ["transparent.png", "transparencies.png", "rgba.png"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_transparent_files_are_read_without_a_warning(tmp_path, name, channels):
    KINDS[name](tmp_path / "class" / name)
    assert load_image_folder(tmp_path, channels=channels).images.shape == (1, 10, 14, channels)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_grayscale_of_16_bits_is_scaled_to_8(tmp_path, channels):
    deep = np.linspace(0, 65535, 140).round().astype("uint16").reshape(10, 14)
    write(tmp_path / "class" / "deep.png", deep)
    image = load_image_folder(tmp_path, channels=channels).images[0]
    expected = np.rint(deep / 257).astype("uint8")
    for channel in range(min(channels, 3)):
        np.testing.assert_array_equal(image[..., channel], expected)
    assert (image[..., 3:] == 255).all()
    resized = load_image_folder(tmp_path, channels=channels, image_size=(5, 7)).images[0]
    assert abs(resized[..., 0].mean() - expected.mean()) < 2


def test_folder_is_read_class_by_class_in_name_order(folder):
    write(folder / "cat" / "Deeper" / "z.png")
    write(folder / "Bird" / "x.png")
    result = load_image_folder(folder)
    assert result.class_names == ("Bird", "cat", "dog")
    assert result.paths == (
        "Bird/x.png",
        "cat/Deeper/z.png",
        "cat/a.png",
        "cat/b.png",
        "dog/a.png",
        "dog/c.png",
    )
    assert result.labels.tolist() == [0, 1, 1, 1, 2, 2]
    assert result.labels.dtype == np.int64
    for image, path in zip(result.images, result.paths, strict=True):
        np.testing.assert_array_equal(image, np.asarray(Image.open(folder / path)))


def test_classes_and_files_are_in_the_order_of_keras(folder):
    for name in ("B/x.png", "a b/y.png", "10/z.png", "9/z.png", "é/z.png"):
        write(folder / name)
    dataset = keras.utils.image_dataset_from_directory(
        folder, image_size=(10, 14), shuffle=False, verbose=False
    )
    names, paths, _ = list_image_folder(folder)
    assert list(names) == dataset.class_names
    # Keras separates the parts of a path by the system's sign.
    assert [str(folder / pathlib.Path(path)) for path in paths] == dataset.file_paths


def test_files_that_are_no_images_and_hidden_ones_are_passed_over(folder):
    (folder / "labels.csv").write_text("a,b")
    for name in ("notes.txt", ".hidden.png", "Thumbs.db", "a.png.part", "png", ".hidden/a.png"):
        path = folder / "cat" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("no image")
    write(folder / ".cache" / "a.png")
    (folder / "cat" / "folder.png").mkdir()
    assert list_image_folder(folder) == (
        ("cat", "dog"),
        ["cat/a.png", "cat/b.png", "dog/a.png", "dog/c.png"],
        [0, 0, 1, 1],
    )


@links
def test_links_in_a_circle_are_not_followed(folder):
    (folder / "cat" / "again").symlink_to(folder, target_is_directory=True)
    (folder / "cat" / "self").symlink_to(folder / "cat", target_is_directory=True)
    assert len(list_image_folder(folder)[1]) == 4


@links
def test_link_to_a_file_is_read_and_a_broken_one_named(folder):
    (folder / "cat" / "c.png").symlink_to(folder / "dog" / "a.png")
    result = load_image_folder(folder)
    at = result.paths.index
    np.testing.assert_array_equal(result.images[at("cat/c.png")], result.images[at("dog/a.png")])
    (folder / "cat" / "d.png").symlink_to(folder / "missing.png")
    with pytest.raises(ValueError, match=r"^Expected a readable image.*cat.d\.png"):
        load_image_folder(folder)


def test_classes_given_set_the_order_of_labels(folder):
    result = load_image_folder(folder, classes=["dog", "cat"])
    assert result.class_names == ("dog", "cat")
    assert result.paths == ("dog/a.png", "dog/c.png", "cat/a.png", "cat/b.png")
    assert result.labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["cat"], r"the class folders \['cat'\] .* Received: \['cat', 'dog'\]"),
        (["cat", "dog", "eel"], r"the class folders .* Received: \['cat', 'dog'\]"),
        (["Cat", "dog"], r"the class folders .* Received: \['cat', 'dog'\]"),
        (["cat", "dog", "cat"], r"class names without repetition. Received: \['cat', 'dog', 'cat'"),
        ([], r"the class folders \[\] .* Received: \['cat', 'dog'\]"),
    ],
)
def test_classes_that_are_not_the_folders_are_refused(folder, classes, message):
    with pytest.raises(ValueError, match=f"^Expected {message}"):
        load_image_folder(folder, classes=classes)


def test_class_without_images_keeps_its_label(folder):
    (folder / "cow").mkdir()
    result = load_image_folder(folder)
    assert result.class_names == ("cat", "cow", "dog")
    assert result.labels.tolist() == [0, 0, 2, 2]


def test_chosen_paths_are_read_in_their_order(folder):
    result = load_image_folder(folder, paths=["dog/c.png", "cat/b.png"])
    assert result.paths == ("dog/c.png", "cat/b.png")
    assert result.labels.tolist() == [1, 0]
    whole = load_image_folder(folder)
    for image, path in zip(result.images, result.paths, strict=True):
        np.testing.assert_array_equal(image, whole.images[whole.paths.index(path)])


def test_chosen_paths_may_be_path_objects(folder):
    result = load_image_folder(folder, paths=[pathlib.Path("dog/c.png"), "./cat//b.png"])
    assert result.paths == ("dog/c.png", "cat/b.png")
    assert result.labels.tolist() == [1, 0]


@pytest.mark.parametrize("path", ["cat/z.png", "../cat/a.png", "cat", "/cat/a.png"])
def test_chosen_path_that_is_no_image_is_refused(folder, path):
    with pytest.raises(
        ValueError, match=r"^Expected .*to be an image file\. Received no such file"
    ):
        load_image_folder(folder, paths=["cat/a.png", path])


def test_a_path_alone_is_not_taken_letter_by_letter(folder):
    with pytest.raises(ValueError, match=r"^Expected paths as a list\. Received: 'cat/a\.png'\.$"):
        load_image_folder(folder, paths="cat/a.png")


def test_no_chosen_paths_are_refused(folder):
    with pytest.raises(ValueError, match=r"^Expected at least one path\. Received: none"):
        load_image_folder(folder, paths=[])


def test_images_of_one_size_need_no_size_and_others_are_named(folder):
    write(folder / "dog" / "b.png", pixels(9, 14))
    with pytest.raises(ValueError, match=r"^Expected images of one size, 14×10 pixels") as error:
        load_image_folder(folder)
    assert str(folder / "dog" / "b.png") in str(error.value)
    assert "with 14×9 pixels" in str(error.value)
    assert load_image_folder(folder, image_size=(4, 6)).images.shape == (5, 4, 6, 3)


def truncated_jpeg(path):
    write(path, pixels(64, 64))
    path.write_bytes(path.read_bytes()[:1500])


def truncated_png(path):
    write(path, pixels(64, 64))
    path.write_bytes(path.read_bytes()[:1500])


BROKEN = {
    "truncated.jpg": truncated_jpeg,
    "truncated.png": truncated_png,
    "zero.jpg": lambda path: path.write_bytes(b""),
    "text.jpg": lambda path: path.write_text("no image at all"),
    "header.png": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"),
    "header.bmp": lambda path: path.write_bytes(b"BM" + bytes(20)),
    "header.gif": lambda path: path.write_bytes(b"GIF89a\x01\x00\x01\x00"),
    "vast.png": lambda path: path.write_bytes(vast_png()),
}


def vast_png():
    """A PNG file of 60,000 by 60,000 pixels, as it says."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + crc


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("where", ["aaa", "dog"], ids=["first", "between"])
def test_file_that_cannot_be_read_is_named(folder, name, where):
    path = folder / where / name
    path.parent.mkdir(exist_ok=True)
    BROKEN[name](path)
    with pytest.raises(ValueError, match=r"^Expected a readable image\. Received: ") as error:
        load_image_folder(folder)
    text = str(error.value)
    assert str(path) in text
    assert "0x" not in text
    assert "\n" not in text


def no_folder(path):
    return path / "missing", FileNotFoundError, "an image folder. Received: .*missing, which does"


def a_file(path):
    (path / "file.png").write_bytes(b"")
    return (
        path / "file.png",
        NotADirectoryError,
        r"an image folder. Received: .*file\.png, which is",
    )


def an_empty_folder(path):
    return path, ValueError, "one subfolder per class in .* Received a folder with no files"


def images_without_classes(path):
    write(path / "a.png")
    return path, ValueError, "one subfolder per class in .* files but no subfolder"


def hidden_folders_alone(path):
    (path / ".git").mkdir()
    return path, ValueError, "one subfolder per class in .* files but no subfolder"


def empty_classes(path):
    (path / "cat").mkdir()
    return path, ValueError, r"image files \(.*\.png\) below the class folders of .* Received none"


@pytest.mark.parametrize(
    "make",
    [
        no_folder,
        a_file,
        an_empty_folder,
        images_without_classes,
        hidden_folders_alone,
        empty_classes,
    ],
)
@pytest.mark.parametrize("use", [list_image_folder, load_image_folder])
def test_folder_that_holds_no_classes_of_images_is_refused(tmp_path, make, use):
    folder, error, message = make(tmp_path)
    with pytest.raises(error, match=f"^Expected {message}"):
        use(folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 2}, r"channels to be one of \[1, 3, 4\]. Received: 2"),
        ({"channels": None}, r"channels to be one of \[1, 3, 4\]. Received: None"),
        ({"image_size": (0, 8)}, r"image_size as \(height, width\).* Received: \(0, 8\)"),
        ({"channels": [3]}, r"channels to be one of \[1, 3, 4\]. Received: \[3\]"),
        ({"channels": True}, r"channels to be one of \[1, 3, 4\]. Received: True"),
        ({"image_size": (8,)}, r"image_size as \(height, width\).* Received: \(8,\)"),
        ({"image_size": 32}, r"image_size as \(height, width\).* Received: 32"),
        ({"image_size": (32.0, 32.0)}, r"image_size .* whole numbers .* Received: \(32.0, 32.0\)"),
    ],
)
def test_size_and_channels_that_make_no_image_are_refused(folder, arguments, message):
    with pytest.raises(ValueError, match=f"^Expected {message}"):
        load_image_folder(folder, **arguments)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_saved_images_come_back_without_loss(tmp_path, channels):
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 5, channels)).astype("uint8")
    images[0] = np.arange(5 * channels).reshape(5, channels)  # Dark, as if from 0 to 1.
    paths = ["a/0.png", "a/deeper/1.png", "b/2.png"]
    save_image_folder(tmp_path / "new" / "folder", images, paths)
    result = load_image_folder(tmp_path / "new" / "folder", channels=channels)
    assert list(result.paths) == paths
    np.testing.assert_array_equal(result.images, images)


IMAGES = np.zeros((2, 4, 4, 3), "uint8")


@pytest.mark.parametrize(
    ("images", "paths", "message"),
    [
        (IMAGES, ["a/0.png", "../1.png"], r"relative paths of .png files. Received: ../1.png"),
        (IMAGES, ["a/0.png", "a/../../1.png"], r"relative paths of .png files"),
        (IMAGES, ["a/0.png", "/tmp/1.png"], r"relative paths of .png files. Received: /tmp/1.png"),
        (IMAGES, ["a/0.png", "a/1.jpg"], r"relative paths of .png files. Received: a/1.jpg"),
        (IMAGES, ["a/0.png"], "2 paths. Received: 1"),
        (IMAGES, ["a/0.png", "a/0.png"], "a path for each image. Received: .*a/0.png"),
        (IMAGES, ["a/0.png", "a//0.png"], "a path for each image. Received: a/0.png, 2 times"),
        (IMAGES, ["a/0.png", "./a/0.png"], "a path for each image"),
        (IMAGES.astype("float32"), ["a/0.png", "a/1.png"], "images as a uint8 array .* float32"),
        (IMAGES[0], ["a/0.png"] * 4, r"images as a uint8 array .* \(4, 4, 3\)"),
        (IMAGES[..., :2], ["a/0.png", "a/1.png"], r"images as a uint8 array .* \(2, 4, 4, 2\)"),
    ],
)
def test_images_that_cannot_be_saved_are_refused_and_nothing_is_written(
    tmp_path, images, paths, message
):
    with pytest.raises(ValueError, match=f"^Expected {message}"):
        save_image_folder(tmp_path / "folder", images, paths)
    assert list(tmp_path.iterdir()) == []
