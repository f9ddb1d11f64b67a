"""CIFAR-10-C, on small sets in the form of the release."""

import io
import os
import pickle
import tarfile
import tracemalloc

import numpy as np
import pytest

from kerasft.datasets import cifar10_c, cifar10_c_corruptions

NAMES = ("brightness", "fog", "jpeg_compression")
COUNT = 3


def _content():
    generator = np.random.default_rng(0)
    labels = np.tile(generator.integers(0, 10, COUNT), 5).astype("uint8")
    # As in the release, where severities stand below each other.
    content = {
        name: generator.integers(0, 256, (5 * COUNT, 32, 32, 3), dtype="uint8") for name in NAMES
    }
    return {**content, "labels": labels}


def _write(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in content.items():
        if isinstance(array, bytes):
            (folder / f"{name}.npy").write_bytes(array)
        else:
            np.save(folder / f"{name}.npy", array)
    (folder / "README.txt").write_text("no array")
    (folder / "._fog.npy").write_text("what some systems leave beside files")
    return folder


def _pack(folder, archive, mode="w"):
    with tarfile.open(archive, mode) as opened:
        opened.add(folder, folder.name)
    return archive


@pytest.fixture(params=["folder", "folder around it", "archive", "compressed archive"])
def form(request):
    def place(tmp_path, content):
        folder = _write(tmp_path / "in" / "CIFAR-10-C", content)
        if request.param == "folder":
            return folder
        if request.param == "folder around it":
            return folder.parent
        if request.param == "archive":
            return _pack(folder, tmp_path / "CIFAR-10-C.tar")
        return _pack(folder, tmp_path / "CIFAR-10-C.tar.gz", "w:gz")

    return place


def test_a_severity_is_its_part_of_the_file(form, tmp_path):
    content = _content()
    path = form(tmp_path, content)
    for name in NAMES:
        for severity in range(1, 6):
            images, labels = cifar10_c(path, name, severity)
            assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
            assert images.shape == (COUNT, 32, 32, 3)
            for i in range(COUNT):
                row = (severity - 1) * COUNT + i
                np.testing.assert_array_equal(images[i], content[name][row])
                assert labels[i] == content["labels"][row]
    images[:] = 0
    np.testing.assert_array_equal(cifar10_c(str(path), name, 5)[0], content[name][-COUNT:])


def test_names_are_those_that_are_there(form, tmp_path):
    path = form(tmp_path, _content())
    assert cifar10_c_corruptions(path) == sorted(NAMES)
    assert cifar10_c_corruptions(str(path)) == sorted(NAMES)


@pytest.mark.parametrize("dtype", ["int64", ">i4", "uint16"])
def test_labels_are_whole_numbers_of_any_size(tmp_path, dtype):
    content = _content()
    content["labels"] = content["labels"].astype(dtype)
    labels = cifar10_c(_write(tmp_path, content), "fog", 2)[1]
    assert labels.dtype == np.int64
    assert labels.tolist() == content["labels"][COUNT : 2 * COUNT].tolist()


def test_a_header_of_the_second_version_is_read(tmp_path):
    content = _content()
    file = io.BytesIO()
    np.lib.format.write_array(file, content["fog"], version=(2, 0))
    path = _write(tmp_path, {**content, "fog": file.getvalue()})
    np.testing.assert_array_equal(cifar10_c(path, "fog", 1)[0], content["fog"][:COUNT])


@pytest.mark.parametrize("packed", [False, True])
def test_only_one_severity_is_read(tmp_path, packed):
    content = {"fog": np.zeros((5000, 32, 32, 3), "uint8"), "labels": np.zeros(5000, "uint8")}
    path = _write(tmp_path / "CIFAR-10-C", content)
    if packed:
        path = _pack(path, tmp_path / "CIFAR-10-C.tar")
    whole = content.pop("fog").nbytes
    tracemalloc.start()
    try:
        cifar10_c(path, "fog", 4)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # What is read, and its copy.
    assert peak < 0.6 * whole


@pytest.mark.parametrize("severity", [0, 6, -1, 2.5, "3", None])
def test_other_severities_are_refused(tmp_path, severity):
    path = _write(tmp_path, _content())
    with pytest.raises(ValueError, match=rf"^Expected a severity from 1 to 5\. .*{severity!r}"):
        cifar10_c(path, "fog", severity)


@pytest.mark.parametrize("name", ["snow", "labels", "README", "._fog", "../fog", None])
def test_an_unknown_corruption_is_answered_with_those_there_are(form, tmp_path, name):
    path = form(tmp_path, _content())
    with pytest.raises(
        ValueError,
        match=rf"^Expected a corruption .*: brightness, fog, jpeg_compression\. .*{name!r}",
    ):
        cifar10_c(path, name, 1)


def test_nothing_there(tmp_path):
    for call in (lambda path: cifar10_c(path, "fog", 1), cifar10_c_corruptions):
        with pytest.raises(FileNotFoundError, match=r"^Expected CIFAR-10-C .* does not exist"):
            call(tmp_path / "missing")


def test_no_labels(form, tmp_path):
    content = _content()
    del content["labels"]
    path = form(tmp_path, content)
    for call in (lambda path: cifar10_c(path, "fog", 1), cifar10_c_corruptions):
        with pytest.raises(FileNotFoundError, match=r"^Expected labels\.npy .* with brightness, "):
            call(path)


def test_no_images(tmp_path):
    path = _write(tmp_path, {"labels": np.zeros(5, "uint8")})
    assert cifar10_c_corruptions(path) == []
    with pytest.raises(ValueError, match="there is none"):
        cifar10_c(path, "fog", 1)


class _RunsOnLoading:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def _saved(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


WHOLE = (5 * COUNT, 32, 32, 3)
BAD_FILES = {
    "images of floats": ("fog", np.zeros(WHOLE), "images of uint8 .* float64"),
    "images of other bytes": ("fog", np.zeros(WHOLE, "int8"), "images of uint8 .* int8"),
    "images of another size": (
        "fog", np.zeros((15, 28, 28, 3), "uint8"), r"Received: uint8 \(15, 28, 28, 3\) in fog\.npy",
    ),
    "gray images": ("fog", np.zeros((15, 32, 32), "uint8"), r"Received: uint8 \(15, 32, 32\)"),
    "flat images": ("fog", np.zeros((15, 3072), "uint8"), r"Received: uint8 \(15, 3072\)"),
    "fewer images": ("fog", np.zeros((10, 32, 32, 3), "uint8"), r"\(15, 32, 32, 3\).*\(10, 32,"),
    "no images": ("fog", np.zeros((0, 32, 32, 3), "uint8"), r"Received: uint8 \(0, 32, 32, 3\)"),
    "images in columns": (
        "fog", np.asfortranarray(np.zeros(WHOLE, "uint8")), "column by column in fog",
    ),
    "a number": ("fog", np.array(7, "uint8"), r"Received: uint8 \(\)"),
    "labels of no use": ("labels", np.zeros(14, "uint8"), "labels of each .* Received: 14"),
    "no labels": ("labels", np.zeros(0, "uint8"), "labels of each .* Received: 0"),
    "labels with a point": ("labels", np.zeros(15), "whole numbers .* float64"),
    "labels in a table": ("labels", np.zeros((15, 1), "uint8"), r"Received: uint8 \(15, 1\)"),
    "label too large": ("labels", np.arange(15), "labels from 0 to 9. Received: 0 to 14"),
    "negative label": ("labels", np.arange(15) - 6, "labels from 0 to 9. Received: -6 to 8"),
    "labels in words": ("labels", np.array(["cat"] * 15), "whole numbers .* <U3"),
    "text": ("fog", b"version https://git-lfs.github.com/spec/v1\n", r"read\. Received: fog\.npy"),
    "nothing": ("fog", b"", r"can be read\. Received: fog\.npy in .* \(ValueError: "),
    "cut off": ("fog", _saved(np.zeros(WHOLE, "uint8"))[:-1], "fog.npy in .*EOFError: it is cut"),
    "cut off labels": ("labels", _saved(np.zeros(15, "uint8"))[:-1], "labels.npy in .* cut off"),
    "cut off in its head": ("fog", _saved(np.zeros(WHOLE, "uint8"))[:40], r"fog\.npy in .*: "),
    "a version to come": (
        "fog", b"\x93NUMPY\x09\x00" + _saved(np.zeros(WHOLE, "uint8"))[8:], r"KeyError: \(9, 0\)",
    ),
    "a pickle": ("fog", pickle.dumps([1, 2]), r"can be read\. Received: fog\.npy"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FILES)
def test_files_in_another_form_are_refused_in_one_line(form, tmp_path, case):
    name, array, message = BAD_FILES[case]
    path = form(tmp_path, {**_content(), name: array})
    with pytest.raises(ValueError, match=f"^Expected .*{message}") as raised:
        cifar10_c(path, "fog", 2)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("name", ["fog", "labels"])
def test_objects_are_refused_and_nothing_runs(form, tmp_path, name):
    target = tmp_path / "evil"
    array = np.empty(15, dtype=object)
    array[:] = _RunsOnLoading(target)
    path = form(tmp_path, {**_content(), name: _saved(array)})
    with pytest.raises(ValueError, match=rf"^Expected .* object \(15,\) in {name}\.npy"):
        cifar10_c(path, "fog", 1)
    assert not target.exists()
    np.load(io.BytesIO(_saved(array)), allow_pickle=True)
    assert target.exists()


def _no_archive(path):
    path.write_text("<html>404 Not Found</html>" * 100)


def _half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [_no_archive, _half])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_damaged_archive_is_refused(tmp_path, damage, mode):
    path = _pack(_write(tmp_path / "CIFAR-10-C", _content()), tmp_path / "a.tar", mode)
    damage(path)
    with pytest.raises((ValueError, FileNotFoundError), match=r"^Expected .*a\.tar") as raised:
        cifar10_c(path, "jpeg_compression", 5)
    assert "\n" not in str(raised.value)


def test_links_of_an_archive_are_not_followed(tmp_path):
    (tmp_path / "secret.npy").write_bytes(b"secret")
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as opened:
        for name in ("labels", "fog"):
            member = tarfile.TarInfo(f"CIFAR-10-C/{name}.npy")
            member.type, member.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.npy")
            opened.addfile(member)
    with pytest.raises(FileNotFoundError, match=r"with none of them\.$"):
        cifar10_c(archive, "fog", 1)
