import dataclasses
import functools
import pathlib
import shutil
import tempfile

import keras
import numpy as np
import pandas as pd

from kerasft.comparison.checks import (
    check_settings,
    chosen_methods,
    compared_images,
    number_of_classes,
)
from kerasft.comparison.comparison import Comparison
from kerasft.comparison.draw import draw_problem
from kerasft.comparison.images import images_digest, store_images
from kerasft.comparison.leaderboard import by_seed, leaderboard, left_out
from kerasft.comparison.model_digest import model_digest
from kerasft.comparison.notes import notes_on, notes_on_runs
from kerasft.comparison.recommend import recommend
from kerasft.comparison.run_method import NUMBERS, ComparisonBench, apply_method, run_method
from kerasft.comparison.settings import Settings
from kerasft.datasets import stratified_split
from kerasft.experiments import run_grid
from kerasft.files import locked, room_in, temporary_names
from kerasft.layer_names import layer_names


def compare(
    model,
    *,
    distorted,
    distorted_test,
    validation=None,
    clean=None,
    clean_test=None,
    paired=False,
    methods=None,
    labels=None,
    seeds=3,
    layers=None,
    learning_rate=1e-3,
    epochs=200,
    patience=15,
    batch_size=64,
    out=None,
):
    """Compare ways to make a classifier better on bad images, on one's own model.

    Every method gets the same images, the same early stopping and the same
    learning rate. For each seed, labelled images are drawn by class; a fifth
    of them is held out to stop the training by, unless `validation` is given.
    The recommendation goes by accuracy on these validation images and never
    by that on test images. They also stopped the training, so of them methods
    that train are shown a little too well.

    Runs go in parallel over what `joblib.parallel_config` says, as in
    `kerasft.experiments.run_grid`. A comparison that was stopped goes on where
    it stopped when it is called again with the same `out`; methods and seeds
    may be added.

    Args:
        model: A built classifier with one image as input. It is not changed.
        distorted: Distorted images and labels, `(images, labels)`; pixels in
            the range that the model takes, labels as integers. Images alone,
            an array: only methods that need no labels are compared. Or a
            mapping from the names of several distortions to such sets: each
            has runs of its own, and methods are judged by their means.
        distorted_test: `(images, labels)` to measure on; a mapping where
            `distorted` is one.
        validation: `(images, labels)`, distorted images to stop and to choose
            by, the same for every seed; a mapping where `distorted` is one.
            Default: a fifth of the drawn images, or, without labels to draw,
            half of the test images.
        clean: Clean images, `(images, labels)` or an array of images alone,
            for methods that need them.
        clean_test: `(images, labels)`, clean images to measure on.
        paired: Whether `clean` are the clean versions of `distorted`, in the
            same order.
        methods: Names from `kerasft.methods.METHODS`, or
            `kerasft.methods.Method` objects of your own. Default: all of
            `METHODS`. A method that does not fit is left out, and the reason
            told; so is one that raises `ValueError`. Runs in `out` are known
            by the name: a method of yours that has changed needs another one.
        labels: Number of labelled distorted images to draw for each seed, to
            train on and to stop by. Default: all.
        seeds: Number of repetitions; seeds are 0, 1, ….
        layers: Names of the convolutions that are tuned or selected from.
            Default: every `Conv2D`.
        learning_rate: Of Adam; or `"search"`: each method that needs labels
            uses the one that `kerasft.methods.find_learning_rate` finds for it
            on the validation images, others Adam's standard.
        epochs: At most this many epochs.
        patience: Epochs without improvement before stopping.
        batch_size: Images in a step.
        out: Folder for `comparison.csv`, to which every run is written when it
            is done; all workers must see it. Default: a temporary one.

    Returns:
        A `Comparison`.

    Raises:
        TypeError: Not a `keras.Model`, a method that is none, or `layers` that
            are no sequence of names.
        ValueError: Images, labels or settings out of range or not fit for
            the model or each other, or `out` holds the runs of others.

    Example:

    >>> import kerasft
    >>> images, labels = kerasft.datasets.digits()
    >>> noisy = kerasft.additive_white_gaussian_noise(images, 50, seed=0)
    >>> model = kerasft.models.cifar10_cnn((8, 8, 1))
    >>> result = kerasft.compare(model, distorted=(noisy[:50], labels[:50]),
    ...     distorted_test=(noisy[50:99], labels[50:99]),
    ...     methods=["nothing", "batch norm"], seeds=1)
    >>> result.best
    'nothing'
    >>> list(result.left_out)
    ['batch norm']
    """
    if layers is not None:
        layers = layer_names(layers, "layers")
    settings = Settings(labels, bool(paired), layers, epochs, patience, batch_size, learning_rate)
    check_settings(model, settings, seeds)
    chosen = chosen_methods(methods)
    compared = compared_images(
        model, distorted, distorted_test, validation, clean, clean_test, settings
    )
    columns = {
        "images_sha256": images_digest(compared),
        "model_sha256": model_digest(model),
        **settings.columns(),
    }
    notes = notes_on(compared, settings, number_of_classes(model))
    compared = {name: _with_validation(images) for name, images in compared.items()}
    configurations = [
        {"distortion": distortion, "method": method, "seed": seed}
        for distortion in compared
        for seed in range(seeds)
        for method in chosen
    ]
    runs = _run(model, compared, settings, chosen, configurations, columns, out)
    notes += notes_on_runs(runs)
    seed_means = by_seed(runs)
    table = leaderboard(seed_means)
    clean_labels = next(iter(compared.values())).clean_test_labels
    best, recommendation = recommend(
        seed_means, table, clean_images=0 if clean_labels is None else len(clean_labels)
    )
    return Comparison(
        runs,
        table,
        left_out(runs),
        best,
        recommendation,
        notes,
        functools.partial(_retrain, model, compared, settings, chosen.get(best), runs),
    )


def _run(model, compared, settings, methods, configurations, columns, out):
    policy = keras.config.dtype_policy()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary if out is None else out)
        # Also keeps a second process from the work folder, and removes one that a killed
        # process has left.
        with locked(folder / "comparison"):
            work = pathlib.Path(tempfile.mkdtemp(**temporary_names(folder / "comparison")))
            try:
                with room_in(folder):
                    model.save(work / "model.keras")
                    stored = store_images(compared, work)
                bench = ComparisonBench(
                    str((work / "model.keras").absolute()),
                    stored,
                    settings,
                    methods,
                    policy.name,
                    model.dtype_policy.name,
                )
                file = folder / "comparison.csv"
                runs = run_grid(
                    functools.partial(run_method, bench),
                    configurations,
                    columns,
                    file,
                    description="Comparing methods",
                )
            finally:
                keras.config.set_dtype_policy(policy)
                shutil.rmtree(work, ignore_errors=True)
    for name in NUMBERS:
        # Someone may have edited the file of earlier runs.
        if not pd.api.types.is_numeric_dtype(runs[name]):
            words = runs.loc[pd.to_numeric(runs[name], errors="coerce").isna(), name]
            raise ValueError(
                f"Expected numbers in column {name} of {file}. Received: "
                f"{words.max()!r}; remove the rows of that run and it is repeated."
            )
    return runs


def _with_validation(images):
    """The images with some to choose by, where no labelled ones can be held out."""
    if images.labels is not None or images.validation_images is not None:
        return images
    measured, chosen_by = stratified_split(images.test_labels, len(images.test_labels) // 2)
    return dataclasses.replace(
        images,
        test_images=images.test_images[measured],
        test_labels=images.test_labels[measured],
        validation_images=images.test_images[chosen_by],
        validation_labels=images.test_labels[chosen_by],
    )


def _retrain(model, compared, settings, method, runs):
    """The model of the best method's best seed, by accuracy on validation images."""
    if method is None:
        raise ValueError("Expected a method that could be used. Received: none.")
    if len(compared) > 1:
        raise ValueError(
            "Expected one set of distorted images for a best model. Received: "
            f"{len(compared)}; compare on one of them."
        )
    of_method = runs[runs["method"] == method.name]
    row = of_method.loc[of_method["validation_accuracy"].idxmax()]
    seed = int(row["seed"])
    draw = draw_problem(model, next(iter(compared.values())), settings, seed)
    rate = draw.problem.learning_rate if np.isnan(row["learning_rate"]) else row["learning_rate"]
    return apply_method(method, draw.problem, float(rate), seed).model
