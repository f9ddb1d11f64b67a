"""The images that `kerasft robustify` works with, and what each is used for."""

import dataclasses

import numpy as np

from kerasft.cli.input_folders import same_classes
from kerasft.cli.overlap import clean_accuracy_note, leave_out, shared_images
from kerasft.cli.pairs import find_pairs
from kerasft.datasets import list_image_folder, stratified_split

Labelled = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class RobustifyImages:
    """Images as uint8, labels as int64.

    Attributes:
        class_names: Names of the classes in output order.
        train: Distorted images to train on, and their labels.
        validation: Distorted images for early stopping, and their labels.
        distorted_test: Distorted images to measure on, and their labels.
        clean_test: Clean images to measure on, and their labels.
        clean_to_rank: Clean images to rank with: the twins of images trained
            on, or, unpaired, all.
        distorted_to_rank: Their distorted versions, row by row, or, unpaired,
            all images trained on.
        labels_to_rank: Labels of `distorted_to_rank`.
        notes: Sentences about what was used for what.
    """

    class_names: tuple[str, ...]
    train: Labelled
    validation: Labelled
    distorted_test: Labelled
    clean_test: Labelled
    clean_to_rank: np.ndarray
    distorted_to_rank: np.ndarray
    labels_to_rank: np.ndarray
    notes: tuple[str, ...]

    @classmethod
    def read(
        cls, classifier, clean, distorted, validation, test, clean_test, classes, seed, unpaired
    ):
        """Read the folders and share their images out.

        An image that is in several folders is a test image before it is one
        for validation, and that before it is one to train on.

        Args:
            classifier: The `Classifier` to read for.
            clean, distorted: Folders of clean and of distorted images.
            validation, test, clean_test: Further folders, each may be `None`.
            classes: Names of the class folders in output order, or `None`.
            seed: Seed of the draw of a validation set.
            unpaired: Whether the two folders are independent sets.

        Raises:
            ValueError: No pairs, too few images, none that are not measured
                on too, or what reading refuses.
        """
        given = filter(None, (clean, distorted, validation, test, clean_test))
        names = same_classes(given, classes)
        if unpaired:
            paths, twins = list_image_folder(distorted, classes)[1], {}
        else:
            paths, twins = find_pairs(clean, distorted, classes)
        # Before any image is read.
        held_out, notes = [], []
        if validation is not None:
            found = list_image_folder(validation, names)[1]
            held_out, notes = leave_out("validation", validation, found, {"test": test}, names)
        measured = {"test": test, "validation": validation}
        paths, left_out = leave_out("distorted", distorted, paths, measured, names)
        notes += left_out
        folder = classifier.read(distorted, names, paths)

        rows = np.arange(len(paths))
        if validation is None:
            if len(paths) < 5:
                raise ValueError(
                    "Expected at least 5 distorted images to hold a fifth out for validation, "
                    f"or --validation DIR. Received: {len(paths)}."
                )
            rows, held = stratified_split(folder.labels, len(paths) // 5, seed)
            validation_set = folder.images[held], folder.labels[held]
            notes.append(
                f"{len(held)} of the {len(paths)} distorted images were held out for early "
                "stopping; the others were trained on."
            )
        else:
            validation_set = _labelled(classifier.read(validation, names, held_out))
        if test is None:
            test_set = validation_set
            notes.append(
                "No separate test images were given: accuracy on distorted images was measured "
                "on those that early stopping used, so it is somewhat too high after fine-tuning."
            )
        else:
            test_set = _labelled(classifier.read(test, names))

        if unpaired:
            ranked = list(rows)
            clean_to_rank = classifier.read(clean, names)
            notes.append(
                f"Filters were ranked without pairs, from exemplars of {len(clean_to_rank.labels)} "
                f"clean and {len(ranked)} distorted images."
            )
        else:
            ranked = [i for i in rows if paths[i] in twins]
            if not ranked:
                raise ValueError(
                    "Expected a clean twin for at least one of the images to train on. Received: "
                    "none; give more pairs, or --validation DIR."
                )
            clean_to_rank = classifier.read(clean, names, [twins[paths[i]] for i in ranked])
            notes.append(
                f"Filters were ranked on {len(ranked)} pairs of clean and distorted images."
            )
        classifier.check_pixels(clean_to_rank.images, clean_to_rank.labels)
        trained_on = (distorted, [paths[i] for i in rows])
        clean_set, note = _clean_test(
            classifier, clean, clean_test, names, clean_to_rank, unpaired, trained_on
        )
        return cls(
            class_names=names,
            train=(folder.images[rows], folder.labels[rows]),
            validation=validation_set,
            distorted_test=test_set,
            clean_test=clean_set,
            clean_to_rank=clean_to_rank.images,
            distorted_to_rank=folder.images[ranked],
            labels_to_rank=folder.labels[ranked],
            notes=(*notes, note),
        )


def _clean_test(classifier, clean, clean_test, names, ranked, unpaired, trained_on):
    """The clean images that accuracy is measured on, and a sentence about them.

    `trained_on` is the folder of distorted images, and those trained on.
    """
    if clean_test is not None or unpaired:
        folder = clean if clean_test is None else clean_test
        images = ranked if clean_test is None else classifier.read(folder, names)
        seen = len(shared_images(folder, images.paths, [trained_on]))
        number = len(images.paths)
        kind = f"all {number}" if clean_test is None else f"{number} separate"
        return _labelled(images), clean_accuracy_note(
            f"{kind} clean images", seen, "clean versions of images trained on"
        )
    used = set(ranked.paths)
    others = [path for path in list_image_folder(clean, names)[1] if path not in used]
    if others:
        return _labelled(classifier.read(clean, names, others)), (
            f"Clean accuracy was measured on the {len(others)} clean images whose distorted "
            "twins were not trained on."
        )
    return _labelled(ranked), (
        "Clean accuracy was measured on the clean twins of the images trained on, so it is "
        "somewhat too high after fine-tuning."
    )


def _labelled(folder):
    return folder.images, folder.labels
