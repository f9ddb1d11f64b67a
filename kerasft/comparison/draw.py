import dataclasses

import numpy as np

from kerasft.datasets import stratified_split
from kerasft.methods.problem import Problem

# Clean images beside the pairs that methods get; those of a large set would fill the memory.
_OTHERS = 1500


@dataclasses.dataclass(frozen=True)
class Draw:
    """What one seed gives every method.

    Attributes:
        problem: The `kerasft.methods.Problem`.
        validation: `(images, labels)` that methods are chosen by.
        labels: Number of labels of distorted images in `problem`.
    """

    problem: Problem
    validation: tuple[np.ndarray, np.ndarray]
    labels: int


def draw_problem(model, images, settings, seed):
    """Draw the distorted images of one seed; every method gets the same.

    Args:
        model: The `keras.Model`.
        images: A `ComparedImages`; without labels it has validation images.
        settings: The `Settings`.
        seed: Seed of the draw of labelled images and of those that are held
            out for validation.

    Returns:
        A `Draw`.
    """
    rows, labels = np.arange(len(images.distorted)), images.labels
    if labels is not None:
        labels = np.asarray(labels)
        if settings.labels is not None and settings.labels < len(rows):
            rows = stratified_split(labels, settings.labels, seed)[1]
    drawn = rows
    if images.validation_images is None:
        trained, held = stratified_split(labels[rows], len(rows) // 5, seed)
        rows, held = rows[trained], rows[held]
        validation = np.asarray(images.distorted[held]), labels[held]
    else:
        validation = np.asarray(images.validation_images), np.asarray(images.validation_labels)
    clean, clean_labels, others = images.clean, images.clean_labels, None
    if settings.paired:
        others = _others(images, drawn, seed)
        clean, clean_labels = (None if x is None else x[rows] for x in (clean, clean_labels))
    problem = Problem(
        model,
        np.asarray(images.distorted[rows]),
        None if labels is None else labels[rows],
        validation=None if labels is None else validation,
        clean=None if clean is None else np.asarray(clean),
        clean_labels=None if clean_labels is None else np.asarray(clean_labels),
        paired=settings.paired,
        other_clean=others,
        layers=settings.layers,
        epochs=settings.epochs,
        patience=settings.patience,
        batch_size=settings.batch_size,
    )
    needed = 0 if labels is None else len(rows) + len(validation[1])
    return Draw(problem, validation, needed)


def _others(images, drawn, seed):
    """Clean images whose distorted versions were not drawn, and their labels if known."""
    rows = np.setdiff1d(np.arange(len(images.clean)), drawn)
    if not len(rows):
        return None
    rows = np.sort(np.random.default_rng(seed).permutation(rows)[:_OTHERS])
    labels = None if images.clean_labels is None else np.asarray(images.clean_labels[rows])
    return np.asarray(images.clean[rows]), labels
