import pathlib

import numpy as np

from kerasft.cli.classifier import Classifier
from kerasft.cli.compare_inputs import CompareInputs, check_labels
from kerasft.comparison.checks import check_layers
from kerasft.datasets import cifar10_c, cifar10_c_corruptions, stratified_split
from kerasft.datasets.cifar10 import CLASSES


def read_corruptions(model, path, severity, clean, clean_test, classes, pixels, labels, layers):
    """Read a model and CIFAR-10-C, every corruption a set of distorted images.

    Of every corruption the same half of the images, by class and seeded, is
    kept for the test.

    Args:
        model: Path of the model.
        path: Folder or archive of CIFAR-10-C.
        severity: 1 to 5.
        clean, clean_test: Folders of clean images, each may be `None`.
        classes: CIFAR-10's class names in output order, or `None`: as in
            CIFAR-10.
        pixels: Pixel range that the model takes.
        labels: Number of labelled images that will be drawn, or `None`: all.
        layers: Names of the layers that will be tuned, or `None`: all.

    Returns:
        A `CompareInputs`.

    Raises:
        ValueError: Unknown `layers`, no corruptions, fewer images than `labels`, a model for
            other images or classes, or what reading refuses.
    """
    names = tuple(classes or CLASSES)
    if sorted(names) != sorted(CLASSES):
        raise ValueError(f"Expected the classes {list(CLASSES)}. Received: {list(names)}.")
    classifier = Classifier.load(model, pixels)
    # Before any image is read.
    check_layers(classifier.model, layers)
    classifier.check_classes(path, names)
    if classifier.image_size not in (None, (32, 32)) or classifier.channels != 3:
        raise ValueError(
            "Expected a model that takes images of 32×32 pixels and 3 channels, as CIFAR-10-C has. "
            f"Received: {model}, which takes {classifier.image_size}, {classifier.channels}."
        )
    corruptions = cifar10_c_corruptions(path)
    if not corruptions:
        raise ValueError(f"Expected corruptions in {path}. Received: labels alone.")
    order = np.array([names.index(name) for name in CLASSES])
    pool, tested = {}, {}
    for corruption in corruptions:
        images, shown = cifar10_c(path, corruption, severity)
        shown = order[shown]
        if not pool:
            aside = {"kept for the test": len(shown) // 2}
            check_labels(labels, "each corruption", len(shown), aside)
            classifier.check_pixels(images, shown)
        # The same rows every time, since the labels are the same.
        kept, test_rows = stratified_split(shown, len(shown) // 2, seed=0)
        for part, rows in ((pool, kept), (tested, test_rows)):
            part[corruption] = _pixels(classifier, images[rows]), shown[rows]
    sets = {}
    for name, folder in (("clean", clean), ("clean_test", clean_test)):
        if folder is not None:
            read = classifier.read(folder, names)
            sets[name] = classifier.to_pixels(read.images), read.labels
    return CompareInputs(
        model=classifier.model,
        model_name=pathlib.Path(model).name,
        distortion=f"CIFAR-10-C, severity {severity}",
        images={"distorted": pool, "distorted_test": tested, **sets},
        notes=(
            f"{len(corruptions)} corruptions: {', '.join(corruptions)}.",
            f"Of each corruption, {len(test_rows)} images were kept for the test "
            f"and {len(kept)} were there to draw from; both are the same images for all of them.",
        ),
    )


def _pixels(classifier, images):
    # A quarter of the memory, which of nineteen corruptions matters.
    return images if classifier.pixels == "0..255" else classifier.to_pixels(images)
