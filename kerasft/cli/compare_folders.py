"""The images of folders that `kerasft compare` works with, and what each is used for."""

import pathlib

from kerasft.cli.classifier import Classifier
from kerasft.cli.compare_inputs import CompareInputs, check_labels
from kerasft.cli.input_folders import same_classes
from kerasft.cli.overlap import clean_accuracy_note, leave_out, list_folders, shared_images
from kerasft.cli.pairs import find_twins
from kerasft.comparison.checks import check_layers
from kerasft.datasets import list_image_folder, stratified_split
from kerasft.datasets.unlabelled_folder import list_unlabelled_folder


def read_folders(
    model, clean, distorted, validation, test, clean_test, classes, pixels, labels=None, layers=None
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
        layers: Names of the layers that will be tuned, or `None`: all.

    Returns:
        A `CompareInputs`.

    Raises:
        ValueError: Unknown `layers`, too few images, also for `labels`, none that are not
            measured on too, no labelled ones to measure on, or what reading refuses.
    """
    classifier = Classifier.load(model, pixels)
    # Before any image is read.
    check_layers(classifier.model, layers)
    files = list_unlabelled_folder(distorted)
    labelled = (clean, None if files else distorted, validation, test, clean_test)
    names = same_classes(filter(None, labelled), classes)
    if files and test is None:
        raise ValueError(
            "Expected --test DIR, labelled distorted images to measure on. Received: none, and "
            f"{distorted} without class folders."
        )
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
    measured_on = list_folders(measured.values(), names)
    if files:
        pool = (classifier.to_pixels(classifier.read_unlabelled(distorted, paths)), None)
        test_set, pool_notes = _labelled(classifier, test, names), []
        drawn, twins, apart = paths, None, measured_on
    else:
        pool, test_set, drawn, pool_notes = _labelled_pool(
            classifier, distorted, paths, test, names
        )
        twins, twin_notes = _twins(clean, distorted, paths, drawn, names)
        pool_notes += twin_notes
        # Each of those that are drawn from may be held out for validation.
        kept = paths if validation is None else sorted(set(paths) - set(drawn))
        apart = [*measured_on, (distorted, kept)]
    clean_set, clean_test_set, clean_notes = _clean(
        classifier, clean, clean_test, names, twins, apart, (distorted, drawn)
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


def _labelled_pool(classifier, distorted, paths, test, names):
    """Distorted images to draw from and to test on, the paths of the former, and sentences."""
    images, labels = _labelled(classifier, distorted, names, paths)
    if test is not None:
        return (images, labels), _labelled(classifier, test, names), paths, []
    if len(paths) < 5:
        raise ValueError(
            "Expected at least 5 distorted images to keep a fifth for the test, or --test DIR. "
            f"Received: {len(paths)}."
        )
    rows, tested = stratified_split(labels, len(paths) // 5, seed=0)
    note = (
        f"{len(tested)} of the {len(paths)} distorted images were kept for the test, the same "
        "for every seed."
    )
    test_set = images[tested], labels[tested]
    return (images[rows], labels[rows]), test_set, [paths[i] for i in rows], [note]


def _twins(clean, distorted, paths, drawn, names):
    """The clean twins of the images to draw from, `None` where not all have one, and a sentence."""
    found = find_twins(clean, distorted, names)[1]
    twins = {path: found[path] for path in paths if path in found}
    if all(path in twins for path in drawn):
        return [twins[path] for path in drawn], [_on_twins(paths, twins)]
    return None, [
        f"{len(twins)} of {len(paths)} distorted images have a clean version at the same "
        "path; since not all have, clean and distorted images were taken for independent sets."
    ]


def _on_twins(paths, twins):
    if len(twins) == len(paths):
        return "Every distorted image has a clean version at the same path."
    return (
        f"{len(twins)} of {len(paths)} distorted images have a clean version at the same path, "
        "all but some that were kept for the test."
    )


def _clean(classifier, clean, clean_test, names, twins, apart, drawn):
    """Clean images to work with and to test on, and sentences about them.

    Without twins, clean versions of images in `apart`, a list of `(folder,
    paths)`, are not worked with. There may be none to work with, `None`.
    `drawn` is `(folder, paths)`, the distorted images that methods are given.
    """
    _, paths, labels = list_image_folder(clean, names)
    if twins is None:
        shared = shared_images(clean, paths, apart)
        rows = [i for i, path in enumerate(paths) if path not in shared]
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
        found = list_image_folder(clean_test, names)[1]
        seen = len(shared_images(clean_test, found, [(clean, used), drawn]))
        notes.append(
            clean_accuracy_note(
                f"{len(found)} separate clean images",
                seen,
                "versions of images that methods were given",
            )
        )
        return clean_set, _labelled(classifier, clean_test, names, found), notes
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
