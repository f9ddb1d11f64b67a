"""The images of folders that `kerasft compare` works with, and what each is used for."""

import pathlib

import numpy as np

from kerasft.cli.classifier import Classifier
from kerasft.cli.compare_inputs import CompareInputs
from kerasft.cli.pairs import find_twins
from kerasft.datasets import list_image_folder, stratified_split
from kerasft.datasets.unlabelled_folder import list_unlabelled_folder


def read_folders(model, clean, distorted, validation, test, clean_test, classes, pixels):
    """Read a model and image folders, and share the images out.

    Args:
        model: Path of the model.
        clean, distorted: Folders of clean and of distorted images; distorted
            ones without class folders have no labels.
        validation, test, clean_test: Further folders, each may be `None`.
        classes: Names of the class folders in output order, or `None`.
        pixels: Pixel range that the model takes.

    Returns:
        A `CompareInputs`.

    Raises:
        ValueError: Too few images, no labelled ones to measure on, or what
            reading refuses.
    """
    classifier = Classifier.load(model, pixels)
    files = list_unlabelled_folder(distorted)
    names = list_image_folder(clean if files else distorted, classes)[0]
    for folder in filter(None, (clean, validation, test, clean_test)):
        list_image_folder(folder, names)
    if files and test is None:
        raise ValueError(
            "Expected --test DIR, labelled distorted images to measure on. Received: none, and "
            f"{distorted} without class folders."
        )
    if files:
        twins = None
        pool = (classifier.to_pixels(classifier.read_unlabelled(distorted, files)), None)
        test_set, notes = _labelled(classifier, test, names), []
    else:
        pool, test_set, twins, notes = _labelled_pool(classifier, clean, distorted, test, names)
    clean_set, clean_test_set, clean_notes = _clean(classifier, clean, clean_test, names, twins)
    return CompareInputs(
        model=classifier.model,
        model_name=pathlib.Path(model).name,
        distortion=pathlib.Path(distorted).absolute().name,
        images={
            "distorted": pool[0] if pool[1] is None else pool,
            "distorted_test": test_set,
            "validation": validation and _labelled(classifier, validation, names),
            "clean": clean_set,
            "clean_test": clean_test_set,
            "paired": twins is not None,
        },
        notes=(*notes, *clean_notes),
    )


def _labelled(classifier, folder, names, paths=None):
    images = classifier.read(folder, names, paths)
    return classifier.to_pixels(images.images), images.labels


def _labelled_pool(classifier, clean, distorted, test, names):
    """Distorted images to draw from and to test on, and the clean twins of the former.

    Twins are a list of paths, or `None` where not every image has one.
    """
    paths, twins = find_twins(clean, distorted, names)
    images, labels = _labelled(classifier, distorted, names)
    rows, notes = np.arange(len(paths)), []
    if test is not None:
        test_set = _labelled(classifier, test, names)
    elif len(paths) < 5:
        raise ValueError(
            "Expected at least 5 distorted images to keep a fifth for the test, or --test DIR. "
            f"Received: {len(paths)}."
        )
    else:
        rows, tested = stratified_split(labels, len(paths) // 5, seed=0)
        test_set = images[tested], labels[tested]
        notes.append(
            f"{len(tested)} of the {len(paths)} distorted images were kept for the test, the same "
            "for every seed."
        )
    twins_of_rows = [twins[paths[i]] for i in rows if paths[i] in twins]
    pool = images[rows], labels[rows]
    if len(twins_of_rows) == len(rows):
        notes.append("Every distorted image has a clean version at the same path.")
        return pool, test_set, twins_of_rows, notes
    notes.append(
        f"{len(twins_of_rows)} of {len(rows)} distorted images have a clean version at the same "
        "path; since not all have, clean and distorted images were taken for independent sets."
    )
    return pool, test_set, None, notes


def _clean(classifier, clean, clean_test, names, twins):
    """Clean images to work with and to test on, and sentences about them."""
    paths = list_image_folder(clean, names)[1]
    used, others = paths if twins is None else twins, []
    if clean_test is None and twins is None and len(paths) >= 5:
        labels = list_image_folder(clean, names)[2]
        kept, tested = stratified_split(labels, len(paths) // 5, seed=0)
        used, others = [paths[i] for i in kept], [paths[i] for i in tested]
    elif clean_test is None and twins is not None:
        others = sorted(set(paths) - set(twins))
    folder = classifier.read(clean, names, used)
    classifier.check_pixels(folder.images, folder.labels)
    clean_set = classifier.to_pixels(folder.images), folder.labels
    if clean_test is not None:
        return clean_set, _labelled(classifier, clean_test, names), []
    if not others:
        return (
            clean_set,
            clean_set,
            [
                "Clean accuracy was measured on clean images that methods were given too, so it is "
                "somewhat too high."
            ],
        )
    count = len(others)
    return (
        clean_set,
        _labelled(classifier, clean, names, others),
        [f"Clean accuracy was measured on {count} clean images that no method was given."],
    )
