import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from kerasft.datasets import digits, stratified_split


def test_digits_are_bytes_over_the_whole_range():
    images, labels = digits()
    assert (images.shape, images.dtype) == ((1797, 8, 8, 1), np.uint8)
    assert (images.min(), images.max()) == (0, 255)
    assert (labels.shape, labels.dtype) == ((1797,), np.int64)
    assert sorted(set(labels.tolist())) == list(range(10))


def test_digits_keep_every_gray_level_of_the_original():
    original = load_digits().images
    images, _ = digits()
    assert len(np.unique(images)) == len(np.unique(original)) == 17
    np.testing.assert_array_equal(np.rint(images[..., 0] * (16 / 255)), original)


def test_digits_can_be_read():
    images, labels = digits()
    pixels = images.reshape(len(images), -1) / 255
    train, test = stratified_split(labels, 597)
    reader = LogisticRegression(max_iter=500).fit(pixels[train], labels[train])
    assert reader.score(pixels[test], labels[test]) > 0.9
