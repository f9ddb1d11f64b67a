"""Images on disk: written once, split and drawn the same for every worker."""

import concurrent.futures
import multiprocessing
import pathlib
import threading

import numpy as np
import pytest
from full_disk import no_file_over

import kerasft
from kerasft.datasets import ImageDataset
from kerasft.experiments import ImageStore

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
DISTORTIONS = (
    *("awgn:15", "awgn:25", "blur:1", "blur:0.5", "awgn:0", "blur:0"),
    *("jpeg:30", "motion:3", "contrast:0.4", "impulse:0.1", "shot:60"),
)


def _dataset(train=500, test=60, shift=0):
    images, labels = kerasft.datasets.digits()
    images, labels = images[shift:], labels[shift:]
    return ImageDataset(
        images[:train],
        labels[:train],
        images[train : train + test],
        labels[train : train + test],
        tuple(map(str, range(10))),
    )


@pytest.fixture(scope="module")
def dataset():
    return _dataset()


@pytest.fixture(scope="module")
def store(dataset, tmp_path_factory):
    return ImageStore.create(dataset, tmp_path_factory.mktemp("store"))


def test_arrays_come_back_as_they_were(store, dataset):
    for name in ARRAYS:
        array, expected = store.array(name), getattr(dataset, name)
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert store.image_shape == (8, 8, 1)
    assert store.classes == 10


def test_classes_are_counted_over_both_parts(tmp_path):
    dataset = ImageDataset(
        np.zeros((3, 4, 4, 1), "uint8"), np.array([0, 1, 0]),
        np.zeros((2, 4, 4, 1), "uint8"), np.array([0, 2]), ("a", "b", "c"),
    )  # fmt: skip
    assert ImageStore.create(dataset, tmp_path).classes == 3


def test_images_that_are_not_contiguous_come_back_too(tmp_path, dataset):
    turned = dataset.train_images.transpose(0, 2, 1, 3)
    changed = ImageDataset(turned, *(getattr(dataset, n) for n in ARRAYS[1:]), dataset.class_names)
    store = ImageStore.create(changed, tmp_path)
    np.testing.assert_array_equal(store.array("train_images"), turned)


def test_the_same_data_have_one_folder_and_other_data_another(tmp_path, dataset):
    first = ImageStore.create(dataset, tmp_path / "new" / "cache")
    files = sorted(pathlib.Path(first.folder).iterdir())
    times = [file.stat().st_mtime_ns for file in files]
    again = ImageStore.create(_dataset(), tmp_path / "new" / "cache")
    assert again == first
    # Found, not written anew.
    assert [file.stat().st_mtime_ns for file in files] == times
    assert ImageStore.create(_dataset(), tmp_path / "elsewhere").digest == first.digest
    digests = {first.digest}
    for name in ARRAYS:
        array = getattr(dataset, name).copy()
        array.flat[-1] ^= 1
        arrays = {n: getattr(dataset, n) for n in ARRAYS} | {name: array}
        other = ImageDataset(**arrays, class_names=dataset.class_names)
        digests.add(ImageStore.create(other, tmp_path / "new" / "cache").digest)
    assert len(digests) == 5
    assert all(len(digest) == 16 and int(digest, 16) >= 0 for digest in digests)
    assert {path.name for path in (tmp_path / "new" / "cache").iterdir()} == {
        f"images-{digest}" for digest in digests
    }


def test_arrays_of_the_same_bytes_and_another_shape_are_other_data(tmp_path, dataset):
    labels = dataset.train_labels, dataset.test_images, dataset.test_labels
    wide = dataset.train_images.reshape(-1, 4, 16, 1)
    changed = ImageDataset(wide, *labels, dataset.class_names)
    first, other = (ImageStore.create(d, tmp_path) for d in (dataset, changed))
    assert first != other
    assert other.image_shape == (4, 16, 1)


def test_the_folder_is_known_wherever_a_worker_starts(tmp_path, monkeypatch, dataset):
    monkeypatch.chdir(tmp_path)
    store = ImageStore.create(dataset, "cache")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    np.testing.assert_array_equal(store.array("test_labels"), dataset.test_labels)


def _create_when_all_are_ready(barrier, cache):
    barrier.wait()
    store = ImageStore.create(_dataset(), cache)
    return store, store.array("train_images").sum(), sorted(store.training_rows()[:3].tolist())


@pytest.mark.parametrize("workers", ["threads", "processes"])
def test_creating_at_once_does_no_harm(tmp_path, dataset, workers):
    if workers == "threads":
        barrier = threading.Barrier(6)
        pool = concurrent.futures.ThreadPoolExecutor(6)
    else:
        # Started from a process that has imported what they need.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["kerasft.experiments"])
        manager = context.Manager()
        barrier = manager.Barrier(2)
        pool = concurrent.futures.ProcessPoolExecutor(2, mp_context=context)
    with pool:
        jobs = [
            pool.submit(_create_when_all_are_ready, barrier, tmp_path)
            for _ in range(barrier.parties)
        ]
        results = [job.result() for job in jobs]
    if workers == "processes":
        manager.shutdown()
    assert all(result == results[0] for result in results)
    assert results[0][1] == dataset.train_images.sum()
    assert [path.name for path in tmp_path.iterdir()] == [f"images-{results[0][0].digest}"]


def test_a_folder_that_another_process_was_faster_with_is_kept(tmp_path, monkeypatch, dataset):
    rename = pathlib.Path.rename

    def late(path, target):
        monkeypatch.setattr(pathlib.Path, "rename", rename)
        ImageStore.create(dataset, tmp_path)
        rename(path, target)

    monkeypatch.setattr(pathlib.Path, "rename", late)
    store = ImageStore.create(dataset, tmp_path)
    np.testing.assert_array_equal(store.array("test_images"), dataset.test_images)
    assert [path.name for path in tmp_path.iterdir()] == [f"images-{store.digest}"]


@pytest.mark.parametrize("place", ["save", "rename"])
@pytest.mark.parametrize("error", [OSError("No space left"), KeyboardInterrupt()], ids=repr)
def test_what_cannot_be_written_leaves_nothing(tmp_path, monkeypatch, dataset, place, error):
    def fail(*arguments):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(np if place == "save" else pathlib.Path, place, fail)
        with pytest.raises(type(error)):
            ImageStore.create(dataset, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert ImageStore.create(dataset, tmp_path).classes == 10


def test_a_full_disk_is_told_with_its_place(tmp_path, dataset):
    with no_file_over(1000), pytest.raises(OSError, match=r"^Expected room for the") as told:
        ImageStore.create(dataset, tmp_path)
    assert str(tmp_path) in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_the_split_is_80_to_20_by_class_and_the_same_each_time(store, dataset, tmp_path):
    training, validation = store.training_rows(), store.validation_rows()
    assert (len(training), len(validation)) == (400, 100)
    assert sorted([*training, *validation]) == list(range(500))
    for rows in (training, validation):
        assert rows.tolist() == sorted(rows)
    for label in range(10):
        of_class = np.flatnonzero(dataset.train_labels == label)
        held = len(set(of_class) & set(validation))
        assert abs(held - len(of_class) / 5) < 1
    again = ImageStore.create(dataset, tmp_path)
    np.testing.assert_array_equal(again.training_rows(), training)
    np.testing.assert_array_equal(again.validation_rows(), validation)


def _is_stratified(labels, rows, population):
    """Whether each class has its share, give or take one."""
    shares = np.bincount(labels[population], minlength=10) / len(population)
    return (abs(np.bincount(labels[rows], minlength=10) - shares * len(rows)) <= 1).all()


@pytest.mark.parametrize("size", [10, 50, 99])
def test_a_part_of_the_validation_rows_is_stratified(store, dataset, size):
    rows = store.validation_rows(size)
    assert len(set(rows)) == size
    assert set(rows) <= set(store.validation_rows())
    assert rows.tolist() == sorted(rows)
    assert _is_stratified(dataset.train_labels, rows, store.validation_rows())
    np.testing.assert_array_equal(store.validation_rows(size), rows)


@pytest.mark.parametrize("size", [100, 1000])
def test_all_validation_rows_are_given_where_no_more_are(store, size):
    np.testing.assert_array_equal(store.validation_rows(size), store.validation_rows())


@pytest.mark.parametrize("size", [10, 50, 200, 390, 400])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_draw_is_stratified_seeded_and_apart_from_validation(store, dataset, size, seed):
    rows = store.draw(size, seed)
    assert len(set(rows)) == len(rows) == size
    assert rows.tolist() == sorted(rows)
    assert set(rows) <= set(store.training_rows())
    assert not set(rows) & set(store.validation_rows())
    assert _is_stratified(dataset.train_labels, rows, store.training_rows())
    np.testing.assert_array_equal(store.draw(size, seed), rows)
    # All images are one draw; of fewer, each seed has its own.
    assert (rows.tolist() == store.draw(size, seed + 1).tolist()) == (size == 400)


def test_a_draw_of_more_than_there_are_is_refused(store):
    with pytest.raises(ValueError, match=r"^Expected at most 400 images .* Received: 401\.$"):
        store.draw(401, 0)


def test_clean_rows_and_their_labels(store, dataset):
    rows = store.draw(50, 3)
    images, labels = store.train(rows)
    np.testing.assert_array_equal(images, dataset.train_images[rows])
    np.testing.assert_array_equal(labels, dataset.train_labels[rows])
    # In memory, so that training does not read the disk again and again.
    assert type(images) is type(labels) is np.ndarray


@pytest.mark.parametrize("distortion", DISTORTIONS)
def test_a_distorted_row_does_not_depend_on_the_rows_with_it(store, distortion):
    rows = store.draw(50, 3)
    images, labels = store.train(rows, distortion)
    assert images.dtype == np.uint8
    for at in (0, 1, 31, 49):
        image, label = store.train(rows[at : at + 1], distortion)
        np.testing.assert_array_equal(image[0], images[at])
        assert label[0] == labels[at]
    np.testing.assert_array_equal(store.train(rows[::-1], distortion)[0], images[::-1])
    clean = store.train(rows)[0]
    assert (images == clean).all() == distortion.endswith(":0")


def test_distorted_rows_are_those_of_the_whole_set_distorted_at_once(store, dataset):
    rows = store.draw(50, 3)
    for distortion in DISTORTIONS:
        whole = kerasft.parse_distortion(distortion, seed=0)(dataset.train_images)
        np.testing.assert_array_equal(store.train(rows, distortion)[0], whole[rows])


@pytest.mark.parametrize("distortion", DISTORTIONS)
def test_the_test_set_is_distorted_as_a_whole_and_only_once(store, dataset, distortion):
    images, labels = store.test(distortion)
    expected = kerasft.parse_distortion(distortion, seed=1000)(dataset.test_images)
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_array_equal(labels, dataset.test_labels)
    assert store.test(distortion)[0] is images


def test_the_clean_test_set(store, dataset):
    images, labels = store.test()
    np.testing.assert_array_equal(images, dataset.test_images)
    np.testing.assert_array_equal(labels, dataset.test_labels)


def test_stores_do_not_share_their_test_images(store, tmp_path):
    other = ImageStore.create(_dataset(shift=700), tmp_path)
    assert (other.test()[0] != store.test()[0]).any()
    assert (other.test("awgn:15")[0] != store.test("awgn:15")[0]).any()


def test_noise_of_the_test_set_is_not_that_of_training(tmp_path):
    # Gray, so that no noise is cut off.
    gray = np.full((40, 8, 8, 1), 128, "uint8")
    labels = np.arange(40) % 2
    store = ImageStore.create(ImageDataset(gray, labels, gray, labels, ("a", "b")), tmp_path)
    train = store.train(np.arange(40), "awgn:15")[0].astype(int) - 128
    test = store.test("awgn:15")[0].astype(int) - 128
    for noise in (train, test):
        assert abs(noise.std() - 15) < 1
    for ours in train:
        for theirs in test:
            assert abs(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]) < 0.6
    assert abs(np.corrcoef(train.ravel(), test.ravel())[0, 1]) < 0.1
