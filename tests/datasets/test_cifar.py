"""CIFAR in the forms that people have it, and whatever else they may point at."""

import contextlib
import dataclasses
import io
import os
import pathlib
import pickle
import tarfile
import tempfile
from typing import ClassVar

import keras
import numpy as np
import pytest

from kerasft.datasets import ImageDataset, cifar10, cifar100, save_image_folder
from kerasft.datasets.cifar10 import CLASSES as CLASSES10
from kerasft.datasets.cifar100 import CLASSES as CLASSES100


@pytest.fixture(autouse=True)
def scratch(tmp_path_factory, monkeypatch):
    """The folder of temporary files, in which nothing may be left."""
    folder = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


class _Python2Pickler(pickle._Pickler):
    """Writes strings of bytes as Python 2 did, which wrote the official files."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_bytes(self, value):
        if len(value) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(value)]) + value)
        else:
            self.write(pickle.BINSTRING + len(value).to_bytes(4, "little") + value)
        self.memoize(value)

    dispatch[bytes] = save_bytes


def as_python_2(content):
    stream = io.BytesIO()
    _Python2Pickler(stream, protocol=2).dump(content)
    return stream.getvalue()


PICKLES = {
    "python 2": as_python_2,
    "protocol 2": lambda content: pickle.dumps(content, protocol=2),
    "newest protocol": lambda content: pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL),
}


@dataclasses.dataclass(frozen=True)
class Kind:
    """One of the two data sets, as its official archive has it."""

    load: object
    folder: str
    classes: tuple
    train: tuple
    test: str
    meta: str
    names: bytes
    labels: bytes


KINDS = {
    "cifar10": Kind(
        cifar10, "cifar-10-batches-py", CLASSES10, tuple(f"data_batch_{i}" for i in range(1, 6)),
        "test_batch", "batches.meta", b"label_names", b"labels",
    ),
    "cifar100": Kind(
        cifar100, "cifar-100-python", CLASSES100, ("train",), "test", "meta",
        b"fine_label_names", b"fine_labels",
    ),
}  # fmt: skip
SIZES = {"data_batch_1": 4, "data_batch_2": 3, "data_batch_3": 1, "data_batch_4": 2,
         "data_batch_5": 2, "test_batch": 5, "train": 12, "test": 5}  # fmt: skip


@pytest.fixture(params=list(KINDS))
def kind(request):
    return KINDS[request.param]


def _batch(kind, name):
    """The content of one official file, random but the same each time."""
    generator = np.random.default_rng(sum(name.encode()))
    rows = SIZES[name]
    labels = generator.integers(0, len(kind.classes), rows).tolist()
    labels[0] = len(kind.classes) - 1
    content = {
        b"data": generator.integers(0, 256, (rows, 3072), dtype="uint8"),
        b"filenames": [b"some_photograph_s_%06d.png" % i for i in range(rows)],
        b"batch_label": b"some batch 1 of 1",
        kind.labels: labels,
    }
    if kind.labels == b"fine_labels":
        # Never to be taken for the labels.
        content[b"coarse_labels"] = [label // 5 for label in labels]
    return content


def _contents(kind):
    """The content of each file by name."""
    meta = {kind.names: [name.encode() for name in kind.classes], b"num_vis": 3072}
    if kind.names == b"fine_label_names":
        meta[b"coarse_label_names"] = [b"fish", b"flowers"]
    batches = {name: _batch(kind, name) for name in (*kind.train, kind.test)}
    return {kind.meta: meta, **batches}


def _write(folder, contents, dump=as_python_2):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        data = content if isinstance(content, bytes) else dump(content)
        (folder / name).write_bytes(data)
    # The official archives have it, and it is no data.
    (folder / "readme.html").write_text("<html></html>")
    return folder


def _pack(folder, archive):
    """The content of a folder as a .tar.gz archive."""
    with tarfile.open(archive, "w:gz") as opened:
        for path in sorted(folder.iterdir()):
            opened.add(path, path.name)
    return archive


def _official(kind, tmp_path, form, **options):
    """The data set as one of the forms in which the official files come."""
    inside = _write(tmp_path / "official" / kind.folder, _contents(kind), **options)
    if form == "folder":
        return inside
    if form == "folder around it":
        return inside.parent
    return _pack(inside.parent, tmp_path / "cifar-python.tar.gz")


def _images_by_hand(contents, names):
    """Pixel after pixel: all reds row by row, then all greens, then all blues."""
    images = []
    for name in names:
        for row in contents[name][b"data"]:
            image = np.zeros((32, 32, 3), "uint8")
            for channel in range(3):
                for y in range(32):
                    for x in range(32):
                        image[y, x, channel] = row[1024 * channel + 32 * y + x]
            images.append(image)
    return np.stack(images)


def _check(dataset, kind, contents):
    assert isinstance(dataset, ImageDataset)
    assert dataset.class_names == kind.classes
    for images, labels, names in (
        (dataset.train_images, dataset.train_labels, kind.train),
        (dataset.test_images, dataset.test_labels, (kind.test,)),
    ):
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, _images_by_hand(contents, names))
        assert labels.dtype == np.int64
        expected = [label for name in names for label in contents[name][kind.labels]]
        assert labels.tolist() == expected


@pytest.mark.parametrize("form", ["folder", "folder around it", "archive"])
def test_official_files_are_read_pixel_by_pixel(kind, tmp_path, form):
    path = _official(kind, tmp_path, form)
    _check(kind.load(path), kind, _contents(kind))
    _check(kind.load(str(path)), kind, _contents(kind))


@pytest.mark.parametrize("dump", PICKLES.values(), ids=PICKLES)
def test_official_files_are_read_in_whatever_way_python_pickled_them(kind, tmp_path, dump):
    _check(kind.load(_official(kind, tmp_path, "folder", dump=dump)), kind, _contents(kind))


def test_class_names_are_those_of_the_data_sets():
    assert len(CLASSES10) == 10
    assert len(set(CLASSES100)) == 100
    assert list(CLASSES100) == sorted(CLASSES100)


@pytest.fixture
def image_folders(kind, tmp_path):
    """Folders `train/<class>` and `test/<class>` of PNG files; with what they hold."""
    generator = np.random.default_rng(0)
    held = {}
    for part, rows in (("train", 2), ("test", 1)):
        paths = [f"{part}/{name}/{i}.png" for name in kind.classes for i in range(rows)]
        held[part] = generator.integers(0, 256, (len(paths), 32, 32, 3), dtype="uint8")
        save_image_folder(tmp_path / "images", held[part], paths)
    return tmp_path / "images", held


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_image_folders_are_read_in_label_order(kind, image_folders, tmp_path, form):
    folder, held = image_folders
    dataset = kind.load(folder if form == "folder" else _pack(folder, tmp_path / "a.tar.gz"))
    np.testing.assert_array_equal(dataset.train_images, held["train"])
    np.testing.assert_array_equal(dataset.test_images, held["test"])
    assert dataset.train_labels.tolist() == [i for i in range(len(kind.classes)) for _ in range(2)]
    assert dataset.test_labels.tolist() == list(range(len(kind.classes)))
    assert dataset.class_names == kind.classes


@pytest.mark.parametrize("name", list(KINDS))
def test_without_a_path_keras_downloads_it(monkeypatch, name):
    kind = KINDS[name]
    generator = np.random.default_rng(0)
    train, test = (
        (
            generator.integers(0, 256, (rows, 32, 32, 3), dtype="uint8"),
            # As Keras gives them.
            generator.integers(0, len(kind.classes), (rows, 1), dtype="uint8"),
        )
        for rows in (6, 3)
    )
    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", lambda: (train, test))
    dataset = kind.load()
    np.testing.assert_array_equal(dataset.train_images, train[0])
    np.testing.assert_array_equal(dataset.test_images, test[0])
    assert dataset.train_labels.tolist() == train[1][:, 0].tolist()
    assert dataset.test_labels.tolist() == test[1][:, 0].tolist()
    assert dataset.train_labels.dtype == dataset.test_labels.dtype == np.int64
    assert dataset.class_names == kind.classes


@pytest.mark.parametrize("name", list(KINDS))
def test_without_a_network_one_line_says_to_give_the_data(monkeypatch, name):
    def load_data():
        raise Exception("URL fetch failure on https://x: None -- [Errno -3] no name\nand more")

    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", load_data)
    with pytest.raises(
        ValueError, match=r"^Expected a network .*\(--data\)\. Received: URL fetch failure.*name\.$"
    ):
        KINDS[name].load()


def nothing_there(kind, tmp_path):
    return tmp_path / "missing.tar.gz", "an archive or a folder. Received: .*which does not exist"


def truncated_archive(kind, tmp_path):
    path = _official(kind, tmp_path, "archive")
    path.write_bytes(path.read_bytes()[:20_000])
    return path, r"a \.tar\.gz archive\. Received: .*cifar-python\.tar\.gz \(Compressed file ended"


def archive_cut_off_at_the_start(kind, tmp_path):
    path = _official(kind, tmp_path, "archive")
    path.write_bytes(path.read_bytes()[:5])
    return path, r"a \.tar\.gz archive\. Received: .*cifar-python\.tar\.gz \(\S"


def archive_with_a_hole(kind, tmp_path):
    path = _official(kind, tmp_path, "archive")
    content = bytearray(path.read_bytes())
    content[20_000:21_000] = bytes(1000)
    path.write_bytes(content)
    return path, r"a \.tar\.gz archive\. Received: .*cifar-python\.tar\.gz \(\S"


def archive_with_one_changed_pixel(kind, tmp_path):
    folder = _official(kind, tmp_path, "folder around it")
    path = tmp_path / "cifar-python.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=0) as opened:
        opened.add(folder / kind.folder, kind.folder)
    content = bytearray(path.read_bytes())
    at = content.index(_batch(kind, kind.test)[b"data"][1].tobytes()[:100])
    content[at] ^= 1
    path.write_bytes(content)
    return path, r"a \.tar\.gz archive\. Received: .*cifar-python\.tar\.gz \(CRC check failed"


def truncated_xz(kind, tmp_path):
    path = tmp_path / "cifar.tar.xz"
    folder = _official(kind, tmp_path, "folder around it")
    with tarfile.open(path, "w:xz", preset=0) as opened:
        opened.add(folder, ".")
    content = bytearray(path.read_bytes())
    content[20_000:21_000] = bytes(1000)
    path.write_bytes(content)
    return path, r"a \.tar\.gz archive\. Received: .*cifar\.tar\.xz \(\S"


def no_archive(kind, tmp_path):
    path = tmp_path / "cifar.tar.gz"
    path.write_text("<html>404 Not Found</html>" * 100)
    return path, r"a \.tar\.gz archive\. Received: .*\(file could not be opened successfully\)\."


def no_content(kind, tmp_path):
    path = tmp_path / "cifar.tar.gz"
    path.write_bytes(b"")
    return path, r"a \.tar\.gz archive\. Received: .*cifar\.tar\.gz \(\S"


def empty_archive(kind, tmp_path):
    (tmp_path / "nothing").mkdir()
    path = _pack(tmp_path / "nothing", tmp_path / "cifar.tar.gz")
    return path, rf"the official python archive or its folder {kind.folder}, .*cifar\.tar\.gz\.$"


def empty_folder(kind, tmp_path):
    (tmp_path / "nothing").mkdir()
    return tmp_path / "nothing", "the official python archive .* Received: .*nothing"


def folder_of_tests_alone(kind, tmp_path):
    (tmp_path / "images" / "test").mkdir(parents=True)
    return tmp_path / "images", r"folders train/<class> and test/<class> of images\. Received"


def _archive_with(tmp_path, member, content=b"evil"):
    path = tmp_path / "cifar.tar.gz"
    with tarfile.open(path, "w:gz") as opened:
        member.size = len(content) if member.isreg() else 0
        opened.addfile(member, io.BytesIO(content))
    return path, r"a \.tar\.gz archive\. Received: .*evil"


def member_outside(kind, tmp_path):
    return _archive_with(tmp_path, tarfile.TarInfo("../evil"))


def link_outside(kind, tmp_path):
    member = tarfile.TarInfo("evil")
    member.type, member.linkname = tarfile.SYMTYPE, "../../../../etc"
    return _archive_with(tmp_path, member)


def device(kind, tmp_path):
    member = tarfile.TarInfo("evil")
    member.type = tarfile.CHRTYPE
    return _archive_with(tmp_path, member)


def with_changed(change):
    """A folder of the official form in which `change` changed the contents."""

    def make(kind, tmp_path):
        contents = _contents(kind)
        message = change(kind, contents)
        return _write(tmp_path / kind.folder, contents), message

    make.__name__ = change.__name__
    return make


@with_changed
def truncated_pickle(kind, contents):
    contents[kind.test] = as_python_2(contents[kind.test])[:1000]
    return rf"a file of the official archive\. Received: .*{kind.test} \(\w+: "


@with_changed
def no_pickle(kind, contents):
    contents[kind.test] = b"version https://git-lfs.github.com/spec/v1\n"
    return rf"a file of the official archive\. Received: .*{kind.test} \(\w+: "


@with_changed
def truncated_meta(kind, contents):
    contents[kind.meta] = as_python_2(contents[kind.meta])[:50]
    return rf"a file of the official archive\. Received: .*{kind.meta} \(\w+: "


@with_changed
def missing_batch(kind, contents):
    del contents[kind.train[-1]]
    return rf"a file of the official archive\. Received: .*{kind.train[-1]}, which does not exist"


@with_changed
def missing_test_batch(kind, contents):
    del contents[kind.test]
    return rf"a file of the official archive\. Received: .*{kind.test}, which does not exist"


@with_changed
def no_dictionary(kind, contents):
    contents[kind.test] = [1, 2]
    return rf"a file of the official archive\. Received: .*{kind.test} \(.*holds a list"


@with_changed
def no_data(kind, contents):
    del contents[kind.test][b"data"]
    return rf"a file of the official archive\. Received: .*{kind.test} \(KeyError: b'data'\)"


@with_changed
def no_labels(kind, contents):
    del contents[kind.test][kind.labels]
    return rf"a file of the official archive\. Received: .*{kind.test} \(KeyError: b'\w*labels'\)"


@with_changed
def no_names(kind, contents):
    del contents[kind.meta][kind.names]
    return rf"a file of the official archive\. Received: .*{kind.meta} \(KeyError: b'\w*names'\)"


@with_changed
def names_that_are_a_number(kind, contents):
    contents[kind.meta][kind.names] = 10
    return rf"a file of the official archive\. Received: .*{kind.meta} \(TypeError: "


@with_changed
def other_names(kind, contents):
    contents[kind.meta][kind.names][0] = b"zebra"
    return rf"the {len(kind.classes)} classes of CIFAR-.* Received: {len(kind.classes)} \(zebra, "


@with_changed
def fewer_names(kind, contents):
    del contents[kind.meta][kind.names][-1]
    return (
        rf"the {len(kind.classes)} classes .* Received: {len(kind.classes) - 1} \({kind.classes[0]}"
    )


@with_changed
def label_too_large(kind, contents):
    contents[kind.test][kind.labels][1:] = [1, 1, 2, len(kind.classes)]
    last = len(kind.classes) - 1
    return rf"labels from 0 to {last}\. Received: 1 to {last + 1} in .*{kind.test}\.$"


@with_changed
def negative_label(kind, contents):
    contents[kind.train[0]][kind.labels][2] = -1
    last = len(kind.classes) - 1
    return rf"labels from 0 to {last}\. Received: -1 to {last} in .*{kind.train[0]}\.$"


@with_changed
def fewer_labels(kind, contents):
    del contents[kind.test][kind.labels][0]
    return r"rows of 3072 pixels .* Received: uint8 \(5, 3072\) and labels int64 \(4,\) in .*test"


@with_changed
def labels_with_a_point(kind, contents):
    contents[kind.test][kind.labels] = [1.0] * 5
    return r"rows of 3072 pixels .* and labels float64 \(5,\) in .*test"


@with_changed
def ragged_labels(kind, contents):
    contents[kind.test][kind.labels] = [[1], [2, 3]]
    return rf"a file of the official archive\. Received: .*{kind.test} \(ValueError: "


@with_changed
def narrow_pixels(kind, contents):
    contents[kind.test][b"data"] = np.zeros((5, 1024), "uint8")
    return r"rows of 3072 pixels of uint8 .* Received: uint8 \(5, 1024\) and labels .* in .*test"


@with_changed
def pixels_with_a_point(kind, contents):
    contents[kind.test][b"data"] = np.zeros((5, 3072), "float32")
    return r"rows of 3072 pixels of uint8 .* Received: float32 \(5, 3072\) and labels .* in .*test"


@with_changed
def pixels_as_images(kind, contents):
    contents[kind.test][b"data"] = np.zeros((5, 32, 32, 3), "uint8")
    return r"rows of 3072 pixels .* Received: uint8 \(5, 32, 32, 3\) and labels .* in .*test"


@with_changed
def no_images(kind, contents):
    contents[kind.test] |= {b"data": np.zeros((0, 3072), "uint8"), kind.labels: []}
    return r"rows of 3072 pixels .* Received: uint8 \(0, 3072\) and labels .* in .*test"


@with_changed
def number_as_pixels(kind, contents):
    contents[kind.test][b"data"] = 7
    return r"rows of 3072 pixels .* Received: int64 \(\) and labels .* in .*test"


def other_kind(form):
    def make(kind, tmp_path):
        other = next(other for other in KINDS.values() if other is not kind)
        path = _official(other, tmp_path, form)
        return path, rf"CIFAR-\d+: .* its folder {kind.folder}, .* Received: {path}\.$"

    make.__name__ = f"other kind as {form}"
    return make


def folders_of_other_classes(kind, tmp_path):
    for part in ("train", "test"):
        save_image_folder(
            tmp_path / "images",
            np.zeros((2, 32, 32, 3), "uint8"),
            [f"{part}/{n}/0.png" for n in "ab"],
        )
    return tmp_path / "images", rf"the class folders \['{kind.classes[0]}'.*Received: \['a', 'b'\]"


def damaged_image(kind, tmp_path):
    for part in ("train", "test"):
        paths = [f"{part}/{name}/0.png" for name in kind.classes]
        save_image_folder(tmp_path / "images", np.zeros((len(paths), 32, 32, 3), "uint8"), paths)
    (tmp_path / "images" / "test" / kind.classes[1] / "0.png").write_bytes(b"no image")
    return tmp_path / "images", rf"a readable image\. Received: .*test.{kind.classes[1]}.0\.png"


BAD_INPUT = [
    nothing_there, truncated_archive, archive_cut_off_at_the_start, archive_with_a_hole,
    archive_with_one_changed_pixel, truncated_xz, no_archive, no_content, empty_archive,
    empty_folder, folder_of_tests_alone, member_outside, link_outside, device, truncated_pickle,
    no_pickle, truncated_meta, missing_batch, missing_test_batch, no_dictionary, no_data,
    no_labels, no_names, names_that_are_a_number, other_names, fewer_names, label_too_large,
    negative_label, fewer_labels, labels_with_a_point, ragged_labels, narrow_pixels,
    pixels_with_a_point, pixels_as_images, no_images, number_as_pixels, other_kind("folder"),
    other_kind("folder around it"), other_kind("archive"), folders_of_other_classes,
    damaged_image,
]  # fmt: skip


@pytest.mark.parametrize("make", BAD_INPUT, ids=lambda make: make.__name__)
def test_whatever_else_is_there_is_refused_in_one_line(kind, tmp_path, make):
    path, message = make(kind, tmp_path)
    missing = make in (nothing_there, missing_batch, missing_test_batch)
    error = FileNotFoundError if missing else ValueError
    with pytest.raises(error, match=f"^Expected .*{message}") as raised:
        kind.load(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("make", [missing_batch, truncated_pickle, other_names, damaged_image])
def test_what_is_wrong_in_an_archive_is_named_by_the_archive(kind, tmp_path, scratch, make):
    path, message = make(kind, tmp_path)
    folder = tmp_path / "to pack"
    path.rename(folder) if path.name == "images" else _move_into(folder, path)
    archive = _pack(folder, tmp_path / "cifar.tar.gz")
    with pytest.raises((ValueError, FileNotFoundError), match=f"^Expected .*{message}") as raised:
        kind.load(archive)
    assert str(archive) in str(raised.value)
    assert str(scratch) not in str(raised.value)


def _move_into(folder, path):
    folder.mkdir()
    path.rename(folder / path.name)


class _RunsOnLoading:
    def __init__(self, function, *arguments):
        self._call = function, arguments

    def __reduce__(self):
        return self._call


def _touches(path):
    return [
        _RunsOnLoading(os.system, f"echo evil > '{path}'"),
        _RunsOnLoading(eval, f"open({str(path)!r}, 'w').close()"),
        _RunsOnLoading(pathlib.Path(path).touch),
        _RunsOnLoading(np.save, str(path), [1]),
        _RunsOnLoading(np.load, str(path)),
    ]


@pytest.mark.parametrize("way", range(5), ids=["system", "eval", "touch", "save", "load"])
@pytest.mark.parametrize("place", ["meta", "batch", "in the labels", "instead"])
@pytest.mark.parametrize("form", ["folder", "archive"])
def test_a_malicious_file_is_refused_and_runs_nothing(kind, tmp_path, form, place, way):
    target = tmp_path / "evil"
    malicious = _touches(target)[way]
    contents = _contents(kind)
    if place == "meta":
        contents[kind.meta][b"more"] = malicious
    elif place == "batch":
        contents[kind.train[0]][b"more"] = malicious
    elif place == "in the labels":
        contents[kind.test][kind.labels][0] = malicious
    else:
        contents[kind.test] = pickle.dumps(malicious)
    path = _write(tmp_path / "official" / kind.folder, contents)
    if form == "archive":
        path = _pack(path.parent, tmp_path / "cifar.tar.gz")
    with pytest.raises(
        ValueError, match=r"^Expected a file of the official archive\. .*UnpicklingError: it names"
    ):
        kind.load(path)
    assert not target.exists()


def test_such_a_malicious_file_would_run(tmp_path):
    target = tmp_path / "evil"
    for malicious in _touches(target)[:4]:
        pickle.loads(pickle.dumps(malicious))
        saved = target.with_suffix(".npy")
        assert target.exists() or saved.exists()
        for path in (target, saved):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
