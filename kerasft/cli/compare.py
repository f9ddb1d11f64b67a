import itertools
import os
import pathlib

import numpy as np

from kerasft.cli.compare_corruptions import read_corruptions
from kerasft.cli.compare_digits import digits_to_compare
from kerasft.cli.compare_folders import read_folders
from kerasft.cli.csv_table import csv_table
from kerasft.cli.facts import command_line, run_facts
from kerasft.cli.input_folders import check_output_apart, check_two_folders
from kerasft.cli.names import split_names
from kerasft.cli.output import print_json, print_line, print_table, print_written
from kerasft.cli.output_folder import check_output_folder, output_folder, written_files
from kerasft.cli.workers import workers
from kerasft.comparison import compare
from kerasft.comparison.checks import chosen_methods
from kerasft.methods import METHODS
from kerasft.progress import track
from kerasft.report import LeaderboardPage

_QUICK_EPOCHS = 8
_QUICK_LABELS = 100
_FILES = ("comparison.csv", "leaderboard.csv", "report.html")
_BEST = "best.keras"
_EARLIER = "best.earlier"
_FOLDERS = ("--clean", "--distorted", "--validation", "--test", "--clean-test")
# What is about a model of one's own and its images.
_WITH_MODEL = (*_FOLDERS, "--cifar10-c", "--severity", "--pixels", "--classes")


def run(
    model,
    clean,
    distorted,
    validation,
    test,
    clean_test,
    cifar10_c,
    severity,
    labels,
    methods,
    seeds,
    search_learning_rate,
    epochs,
    patience,
    batch_size,
    layers,
    pixels,
    classes,
    jobs,
    save_best,
    quick,
    out,
    force,
    as_json,
    given,
):
    """The command `kerasft compare`; arguments are its options, and the names of those given."""
    methods = _method_names(methods)
    chosen_methods(methods)
    _check_sources(model, given)
    out = pathlib.Path(out)
    # A comparison that was stopped is there to go on with.
    check_output_folder(
        out,
        force or _is_begun(out),
        (*_FILES, _BEST) if save_best else _FILES,
    )
    check_output_apart(out, clean, distorted, validation, test, clean_test)
    check_two_folders(clean, distorted)
    wanted = split_names(layers)
    if model is None:
        inputs, labels = digits_to_compare(), labels or _QUICK_LABELS
    elif cifar10_c is not None:
        inputs = read_corruptions(
            model,
            cifar10_c,
            severity,
            clean,
            clean_test,
            split_names(classes),
            pixels,
            labels,
            wanted,
        )
    else:
        inputs = read_folders(
            model,
            clean,
            distorted,
            validation,
            test,
            clean_test,
            split_names(classes),
            pixels,
            labels,
            wanted,
        )
    seeds = 1 if quick else seeds
    with workers(jobs):
        comparison = compare(
            inputs.model,
            **inputs.images,
            methods=methods,
            labels=labels,
            seeds=seeds,
            layers=wanted,
            learning_rate="search" if search_learning_rate else 1e-3,
            epochs=_QUICK_EPOCHS if quick and "--epochs" not in given else epochs,
            patience=patience,
            batch_size=batch_size,
            out=out,
        )
    saves = save_best and comparison.best is not None
    # Beside this page it would pass for the model that is recommended here.
    earlier = _free_name(out) if not saves and (out / _BEST).exists() else None
    page = LeaderboardPage(
        title=f"{inputs.model_name} on {inputs.distortion}",
        model_name=inputs.model_name,
        distortion=inputs.distortion,
        recommendation=comparison.recommendation,
        leaderboard=comparison.leaderboard,
        best=comparison.best,
        left_out=comparison.left_out,
        notes=(*inputs.notes, *comparison.notes, *_on_best(save_best and not saves, earlier)),
        facts=run_facts(command_line(), {"Seeds": ", ".join(map(str, range(seeds)))}),
    )
    with output_folder(out, force=True) as staging:
        (staging / "leaderboard.csv").write_bytes(csv_table(comparison.leaderboard))
        (staging / "report.html").write_text(page.render(), encoding="utf-8")
        if saves:
            for _ in track(range(1), 1, "Making the best model again"):
                comparison.save_best(staging / _BEST)
        # Runs were written as they were done.
        files = sorted([out / "comparison.csv", *written_files(staging, out)])
    if earlier is not None:
        os.replace(out / _BEST, out / earlier)
    if as_json:
        print_json(
            {
                "leaderboard": page.leaderboard.to_dict("records"),
                "left_out": page.left_out,
                "best": page.best,
                "recommendation": page.recommendation,
                "notes": page.notes,
                "files": files,
            }
        )
    else:
        _print_summary(page, files)


def _is_begun(out):
    """Whether a comparison is there to go on with, if only what precedes its first run."""
    if not out.is_dir():
        return False
    names = [path.name for path in out.iterdir()]
    hidden = bool(names) and all(name.startswith(".comparison.") for name in names)
    return hidden or (out / "comparison.csv").is_file()


def _check_sources(model, given):
    """Refuse options that do not go together, or that would do nothing."""
    wanted = "MODEL with --clean DIR and --distorted DIR, or MODEL with --cifar10-c PATH"
    of_model = [name for name in given if name in _WITH_MODEL]
    received = " ".join(of_model)
    if "--quick" in given and "--seeds" in given:
        raise ValueError("Expected --seeds without --quick, which has one seed. Received: both.")
    if model is None:
        if "--quick" not in given or of_model:
            raise ValueError(
                f"Expected {wanted}; --quick alone compares on embedded digits. Received: "
                f"{received or 'none of them'} without MODEL."
            )
    elif "--cifar10-c" in given:
        _check_corruptions(wanted, given)
    elif not {"--clean", "--distorted"} <= set(given):
        raise ValueError(f"Expected {wanted}. Received: {received or 'MODEL alone'}.")
    elif "--severity" in given:
        raise ValueError(
            f"Expected --severity with --cifar10-c PATH, which has several. Received: {received}."
        )


def _check_corruptions(wanted, given):
    unfit = sorted(set(given) & set(_FOLDERS) - {"--clean", "--clean-test"})
    if unfit:
        raise ValueError(f"Expected {wanted}. Received: --cifar10-c with {' '.join(unfit)}.")
    if "--save-best" in given:
        raise ValueError(
            "Expected --save-best with one set of distorted images. Received: --cifar10-c, of "
            "which every corruption has a best model of its own."
        )


def _method_names(text):
    """Names from `a,b,c`; a name of the package may hold commas itself."""
    parts = split_names(text)
    if parts is None:
        return None
    names = []
    while parts:
        joined = [", ".join(parts[:count]) for count in range(len(parts), 0, -1)]
        name = next((name for name in joined if name in METHODS), parts[0])
        names.append(name)
        parts = parts[name.count(",") + 1 :]
    return names


def _free_name(out):
    """A name for `best.keras` of an earlier page that no other of them has."""
    further = (f"{_EARLIER}-{number}.keras" for number in itertools.count(2))
    names = itertools.chain([f"{_EARLIER}.keras"], further)
    return next(name for name in names if not os.path.lexists(out / name))


def _on_best(missing, earlier):
    """Sentences about `best.keras`, where none is written."""
    if missing:
        yield f"No {_BEST} was written, as no method could be used."
    if earlier is not None:
        yield (
            f"{_BEST} of an earlier page, which may be of another method, is now {earlier}; "
            "--save-best writes the one recommended here."
        )


def _print_summary(page, files):
    if not page.leaderboard.empty:
        print_table(
            page.title,
            "method",
            ["distorted", "clean", "labels", "trained"],
            [_cells(row) for row in page.leaderboard.itertuples()],
        )
    print_line(page.recommendation)
    for reason in dict.fromkeys(page.left_out.values()):
        methods = [name for name, other in page.left_out.items() if other == reason]
        print_line(f"Left out: {', '.join(methods)}. {reason}")
    for note in page.notes:
        print_line(note)
    print_written(files)


def _cells(row):
    low, high = 100 * row.distorted_accuracy_low, 100 * row.distorted_accuracy_high
    interval = "" if np.isnan(low) else f" ({low:.1f}–{high:.1f})"
    return [
        row.method,
        f"{row.distorted_accuracy:.1%}{interval}",
        "" if np.isnan(row.clean_accuracy) else f"{row.clean_accuracy:.1%}",
        f"{row.labels_needed:,}",
        f"{row.trained_parameters:,}",
    ]
