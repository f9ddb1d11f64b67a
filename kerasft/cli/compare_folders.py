"""The images of folders that `kerasft compare` works with, and what each is used for."""

import pathlib

import numpy as np

from kerasft.cli.classifier import Classifier
from kerasft.cli.compare_inputs import CompareInputs, check_labels
from kerasft.cli.input_folders import same_classes
from kerasft.cli.overlap import leave_out
from kerasft.cli.pairs import find_twins, stem
from kerasft.datasets import list_image_folder, stratified_split
from kerasft.datasets.unlabelled_folder import list_unlabelled_folder


def read_folders(
    model, clean, distorted, validation, test, clean_test, classes, pixels, labels=None
):
    """Read a model and image folders, and share the images out.

    An image that is in several folders is a test image before it is one for
    validation, and that before it is one to draw.

    Args:
        model: Path of the model.
        clean, distorted: Folders of clean and of distorted images; distorted
            ones without class folders have no labels.
        validation, test, clean_test: Further folders, each may be `None`.
        classes: Names of the class folders in output order, or `None`.
        pixels: Pixel range that the model takes.
        labels: Number of labelled images that will be drawn, or `None`: all.

    Returns:
        A `CompareInputs`.

    Raises:
        ValueError: Too few images, also for `labels`, none that are not measured on too, no
            labelled ones to measure on, or what reading refuses.
    """
    classifier = Classifier.load(model, pixels)
    files = list_unlabelled_folder(distorted)
    labelled = (clean, None if files else distorted, validation, test, clean_test)
    names = same_classes(filter(None, labelled), classes)
    if files and test is None:
        raise ValueError(
            "Expected --test DIR, labelled distorted images to measure on. Received: none, and "
            f"{distorted} without class folders."
        )
    # Before any image is read.
    held_out, held_out_notes = None, []
    if validation is not None:
        found = list_image_folder(validation, names)[1]
        held_out, held_out_notes = leave_out("validation", validation, found, {"test": test}, names)
    found = files or list_image_folder(distorted, names)[1]
    measured = {"test": test, "validation": validation}
    paths, notes = leave_out("distorted", distorted, found, measured, names)
    if files and labels is not None:
        raise ValueError(
            f"Expected class folders in {distorted} for --labels. Received: images without labels."
        )
    aside = {
        "test or validation images too": len(found) - len(paths),
        "kept for the test, without --test DIR": 0 if test is not None else len(paths) // 5,
    }
    check_labels(labels, distorted, len(found), aside)
    measured_on = _stems(names, filter(None, measured.values()))
    if files:
        twins, apart = None, measured_on
        pool = (classifier.to_pixels(classifier.read_unlabelled(distorted, paths)), None)
        test_set, pool_notes = _labelled(classifier, test, names), []
    else:
        pool, test_set, twins, apart, pool_notes = _labelled_pool(
            classifier, clean, distorted, paths, test, names, measured_on, validation is None
        )
    clean_set, clean_test_set, clean_notes = _clean(
        classifier, clean, clean_test, names, twins, apart
    )
    return CompareInputs(
        model=classifier.model,
        model_name=pathlib.Path(model).name,
        distortion=pathlib.Path(distorted).absolute().name,
        images={
            "distorted": pool[0] if pool[1] is None else pool,
            "distorted_test": test_set,
            "validation": held_out and _labelled(classifier, validation, names, held_out),
            "clean": clean_set,
            "clean_test": clean_test_set,
            "paired": twins is not None,
        },
        notes=(*held_out_notes, *notes, *pool_notes, *clean_notes),
    )


def _labelled(classifier, folder, names, paths=None):
    images = classifier.read(folder, names, paths)
    return classifier.to_pixels(images.images), images.labels


def _stems(names, folders):
    return {stem(path) for folder in folders for path in list_image_folder(folder, names)[1]}


def _labelled_pool(classifier, clean, distorted, paths, test, names, measured_on, draws_validation):
    """Distorted images to draw from and to test on, and the clean twins of the former.

    Twins are a list of paths, or `None` where not every image has one. Next
    come the stems of images whose clean versions no method may be given.
    """
    twins = find_twins(clean, distorted, names)[1]
    twins = {path: twins[path] for path in paths if path in twins}
    images, labels = _labelled(classifier, distorted, names, paths)
    rows, tested, notes = np.arange(len(paths)), [], []
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
    pool = images[rows], labels[rows]
    if all(paths[i] in twins for i in rows):
        notes.append(_on_twins(paths, twins))
        return pool, test_set, [twins[paths[i]] for i in rows], measured_on, notes
    notes.append(
        f"{len(twins)} of {len(paths)} distorted images have a clean version at the same "
        "path; since not all have, clean and distorted images were taken for independent sets."
    )
    # Each of those that are drawn from may be held out for validation.
    others = range(len(paths)) if draws_validation else tested
    return pool, test_set, None, measured_on | {stem(paths[i]) for i in others}, notes


def _on_twins(paths, twins):
    if len(twins) == len(paths):
        return "Every distorted image has a clean version at the same path."
    return (
        f"{len(twins)} of {len(paths)} distorted images have a clean version at the same path, "
        "all but some that were kept for the test."
    )


def _clean(classifier, clean, clean_test, names, twins, apart):
    """Clean images to work with and to test on, and sentences about them.

    Clean versions of the images in `apart` are not worked with. There may be
    none to work with, `None`.
    """
    _, paths, labels = list_image_folder(clean, names)
    if twins is None:
        rows = [i for i, path in enumerate(paths) if stem(path) not in apart]
        missing = len(paths) // 5 - (len(paths) - len(rows))
        if clean_test is None and missing > 0:
            kept = stratified_split([labels[i] for i in rows], missing, seed=0)[0]
            rows = [rows[i] for i in kept]
        used = [paths[i] for i in rows]
    else:
        used = twins
    others = sorted(set(paths) - set(used))
    folder = classifier.read(clean, names, used or others)
    classifier.check_pixels(folder.images, folder.labels)
    read, notes = (classifier.to_pixels(folder.images), folder.labels), []
    clean_set = read if used else None
    if not used:
        notes.append(
            "No method was given clean images: all are clean versions of distorted images that "
            "are tested or may be validated on."
        )
    if clean_test is not None:
        return clean_set, _labelled(classifier, clean_test, names), notes
    if not others:
        notes.append(
            "Clean accuracy was measured on clean images that methods were given too, so it is "
            "somewhat too high."
        )
        return clean_set, clean_set, notes
    notes.append(
        f"Clean accuracy was measured on {len(others)} clean images that no method was given."
    )
    return clean_set, _labelled(classifier, clean, names, others), notes
