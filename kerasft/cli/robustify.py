import dataclasses
import pathlib

import numpy as np
import pandas as pd

from kerasft.cli.classifier import Classifier
from kerasft.cli.convolutions import check_convolutions
from kerasft.cli.csv_table import csv_table
from kerasft.cli.facts import command_line, run_facts
from kerasft.cli.input_folders import check_output_apart, check_two_folders
from kerasft.cli.names import split_names
from kerasft.cli.output import print_json, print_line, print_table, print_written
from kerasft.cli.output_folder import check_output_folder, output_folder, written_files
from kerasft.cli.robustify_images import RobustifyImages
from kerasft.cli.training_progress import TrainingProgress
from kerasft.cli.unpaired import Unpaired, rank
from kerasft.finetuning import fine_tune
from kerasft.layer_lookup import named_layers
from kerasft.report import Report, render_report
from kerasft.tunable import find_tunable

_SAMPLES = 8
_FILES = (
    "robust.keras",
    "ranking.json",
    "ranking.csv",
    "results.csv",
    "history.csv",
    "report.html",
)


def run(
    model,
    clean,
    distorted,
    validation,
    test,
    clean_test,
    fraction,
    which,
    epochs,
    patience,
    batch_size,
    unpaired,
    features,
    metric,
    exemplars,
    layers,
    pixels,
    classes,
    seed,
    out,
    force,
    as_json,
):
    """The command `kerasft robustify`; arguments are its options."""
    if not 0 < fraction <= 1:
        raise ValueError(f"Expected --fraction over 0 and at most 1. Received: {fraction:g}.")
    check_output_folder(out, force, _FILES)
    check_output_apart(out, clean, distorted, validation, test, clean_test)
    check_two_folders(clean, distorted)
    without_pairs = Unpaired.from_options(unpaired, features, metric, exemplars)
    wanted = split_names(layers)
    classifier = Classifier.load(model, pixels)
    _check_layers(classifier.model, model, wanted)
    images = RobustifyImages.read(
        classifier,
        clean,
        distorted,
        validation,
        test,
        clean_test,
        split_names(classes),
        seed,
        unpaired,
    )
    ranking = rank(
        classifier.model,
        classifier.to_pixels(images.clean_to_rank),
        classifier.to_pixels(images.distorted_to_rank),
        wanted,
        without_pairs,
    )
    with TrainingProgress() as progress:
        tuned = fine_tune(
            classifier.model,
            (classifier.to_pixels(images.train[0]), images.train[1]),
            (classifier.to_pixels(images.validation[0]), images.validation[1]),
            ranking=ranking,
            fraction=fraction,
            which=which,
            epochs=epochs,
            patience=patience,
            batch_size=batch_size,
            seed=seed,
            verbose=0,
            callbacks=[progress],
        )
    results = _measure(classifier, dataclasses.replace(classifier, model=tuned.model), images)
    report = _report(
        images,
        ranking,
        tuned,
        results,
        model_name=pathlib.Path(model).name,
        distortion=pathlib.Path(distorted).absolute().name,
        paired=not unpaired,
        facts=run_facts(
            command_line(),
            {
                "Filters trained": _filters_trained(which, fraction),
                "Images trained on": f"{len(images.train[1]):,}",
                "Seed": str(seed),
            },
        ),
    )
    with output_folder(out, force) as staging:
        tuned.model.save(staging / "robust.keras")
        ranking.save(staging / "ranking.json")
        (staging / "ranking.csv").write_bytes(csv_table(ranking.to_frame()))
        (staging / "results.csv").write_bytes(csv_table(results))
        pd.DataFrame(tuned.history.history).rename_axis("epoch").to_csv(staging / "history.csv")
        (staging / "report.html").write_text(render_report(report), encoding="utf-8")
        files = written_files(staging, out)
    if as_json:
        print_json(
            {
                "results": _by_images(results),
                "trained_parameters": report.trained_parameters,
                "total_parameters": report.total_parameters,
                "selected_filters": {k: len(filters) for k, filters in tuned.selection.items()},
                "notes": images.notes,
                "files": files,
            }
        )
    else:
        _print_summary(results, report, files)


def _filters_trained(which, fraction):
    return which if which == "all" else f"{which}, {100 * fraction:g}% of each layer"


def _check_layers(model, path, names):
    """Refuse layers that cannot be ranked or not be trained filter by filter, before any work."""
    found = named_layers(model)
    for name in check_convolutions(model, path, names, others=False):
        find_tunable(name, found, way_out=False)


def _measure(before, after, images):
    """Accuracy before and after on each test set, over all images and class by class."""
    rows = []
    sets = {"distorted": images.distorted_test, "clean": images.clean_test}
    for name, (pixels, labels) in sets.items():
        right = {
            "before": before.predict(pixels) == labels,
            "after": after.predict(pixels) == labels,
        }
        for label, class_name in [(None, None), *enumerate(images.class_names)]:
            members = np.full(len(labels), True) if label is None else labels == label
            if members.any():
                accuracy = {key: float(hits[members].mean()) for key, hits in right.items()}
                rows.append(
                    {"images": name, "class": class_name, "count": int(members.sum()), **accuracy}
                )
    return pd.DataFrame(rows)


def _report(images, ranking, tuned, results, *, model_name, distortion, paired, facts):
    overall = results[results["class"].isna()]
    by_class = results[results["class"].notna() & (results["images"] == "distorted")]
    # One image of each class, as far as there is room.
    samples = np.sort(np.unique(images.labels_to_rank, return_index=True)[1][:_SAMPLES])
    return Report(
        title=f"{model_name} on {distortion}",
        model_name=model_name,
        distortion=distortion,
        accuracy=overall.assign(images=overall["images"] + " test images")[
            ["images", "count", "before", "after"]
        ],
        trained_parameters=tuned.trained_parameters,
        total_parameters=tuned.model.count_params(),
        ranking=ranking,
        selection=tuned.selection,
        clean_samples=images.clean_to_rank[samples] if paired else None,
        distorted_samples=images.distorted_to_rank[samples],
        sample_labels=[images.class_names[images.labels_to_rank[i]] for i in samples],
        history=tuned.history.history,
        per_class=by_class[["class", "count", "before", "after"]],
        notes=images.notes,
        facts=facts,
    )


def _by_images(results):
    """The rows of results, by images and class, for JSON."""
    numbers = ["count", "before", "after"]
    nested = {}
    for name, rows in results.groupby("images", sort=False):
        whole = rows["class"].isna()
        nested[name] = rows.loc[whole, numbers].to_dict("records")[0]
        nested[name]["by_class"] = rows[~whole].set_index("class")[numbers].to_dict("index")
    return nested


def _print_summary(results, report, files):
    print_table(
        report.title,
        "test images",
        ["count", "before", "after"],
        [
            [row.images, str(row.count), f"{row.before:.1%}", f"{row.after:.1%}"]
            for row in results[results["class"].isna()].itertuples()
        ],
    )
    share = report.trained_parameters / report.total_parameters
    print_line(
        f"Trained {report.trained_parameters:,} of {report.total_parameters:,} parameters "
        f"({share:.2%})."
    )
    for note in report.notes:
        print_line(note)
    print_written(files)
