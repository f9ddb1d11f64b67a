"""Every method of `kerasft.methods` on two networks, five distortions and three numbers of labels.

    python scripts/compare_methods.py resnet8 --data cifar10 --model mlperf-tiny-resnet8.h5 \\
        --lossless cifar10-lossless-4000.npz
    python scripts/compare_methods.py cifar10_cnn --data cifar10 --model baseline.keras

`resnet8`: the MLPerf Tiny ResNet-8, as others trained and saved it. 4,000 lossless
CIFAR-10 images are split once and for all: 2,000 to draw from, 500 that stop the
training, 1,500 that test. They were in the network's own training set, so its clean
accuracy is too high here. Its JPEG images are the files of the same images.

`cifar10_cnn`: the network of `train_baseline.py` on the CIFAR-10 image files. Drawn from
its own 40,000 training images; 1,000 of its 10,000 validation images stop the training;
the 10,000 test images test. JPEG is a second compression of files that are JPEG already.

Pairs of clean and distorted images exist for all. Nothing is chosen by test images. A run
whose row is in --work, or in --results where --work is new, is not repeated, so a stopped
script goes on where it stopped, on another machine too; what is there is summed up at the
end of every run of the script.
"""

import argparse
import dataclasses
import functools
import pathlib

import joblib
import keras
import numpy as np
import pandas as pd
from comparison_tables import CELL, DISTORTIONS, FIRST, OURS, PAPERS, write_tables

import kerasft
from kerasft.batch_norm import all_batch_normalizations
from kerasft.criteria import RankingData, rank_filters_by
from kerasft.datasets import list_image_folder, load_image_folder, stratified_split
from kerasft.experiments.results_file import ResultsFile, typed
from kerasft.files import write_whole
from kerasft.methods import METHODS
from kerasft.methods.convolutions import convolutions
from kerasft.methods.interpolation import interpolate
from kerasft.methods.sensitive_filters import tune_sensitive_filters
from kerasft.methods.soft_labels import with_soft_labels
from kerasft.methods.training import train_filters

LABELS = (100, 500, 2000)
# Noise on test images is of a seed that no others have.
_SEED_OF = {"pool": 0, "validation": 500, "test": 1000}

FIRST_LAYERS = dataclasses.replace(
    METHODS[PAPERS],
    name=FIRST,
    apply=lambda problem, seed: METHODS[PAPERS].apply(
        dataclasses.replace(problem, layers=tuple(list(convolutions(problem))[:3])), seed
    ),
)


def tune_each_layer(problem, seed, *, criterion):
    """Ours without scales, with the quarter of each layer that a criterion puts first."""
    model = problem.model
    if all_batch_normalizations(model):
        model = kerasft.recalibrate_batch_norm(model, problem.distorted)
    data = RankingData(clean=problem.clean, distorted=problem.distorted, labels=problem.labels)
    ranking = rank_filters_by(criterion, model, data, layers=list(convolutions(problem)))
    outcome = train_filters(model, with_soft_labels(problem), seed, ranking.select(0.25))
    between = interpolate(model, outcome.model, *problem.validation)
    return dataclasses.replace(outcome, model=between)


# Ours without one of its steps, with another size or with other filters, to see what each is
# worth.
IDEAS = {
    name: dataclasses.replace(
        METHODS[OURS], name=name, apply=functools.partial(function, **changes)
    )
    for name, function, changes in (
        ("ours, a tenth", tune_sensitive_filters, {"share": 0.1}),
        ("ours, without scales", tune_sensitive_filters, {"scaled": False}),
        ("ours, labels as they are", tune_sensitive_filters, {"soft_labels": False}),
        ("ours, not interpolated", tune_sensitive_filters, {"interpolated": False}),
        (
            "ours, filters alone",
            tune_sensitive_filters,
            {"scaled": False, "soft_labels": False, "interpolated": False},
        ),
        ("ours, a quarter of each layer", tune_each_layer, {"criterion": "gradient"}),
        ("ours, the paper's filters", tune_each_layer, {"criterion": "emd_borda"}),
    )
}

OTHERS = {FIRST: FIRST_LAYERS, **IDEAS}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", choices=("resnet8", "cifar10_cnn"))
    parser.add_argument("--data", required=True, type=pathlib.Path, help="CIFAR-10 image files")
    parser.add_argument("--model", required=True, type=pathlib.Path)
    parser.add_argument("--lossless", type=pathlib.Path, help="the .npz of lossless images")
    parser.add_argument("--labels", default=",".join(map(str, LABELS)), help="N,N,…")
    parser.add_argument(
        "--methods",
        default=";".join([*METHODS, *OTHERS]),
        help="A;B;… Default: all, and ours in parts.",
    )
    parser.add_argument("--seeds", default=5, type=int)
    parser.add_argument("--jobs", default=joblib.cpu_count(), type=int)
    parser.add_argument("--work", default="work", type=pathlib.Path)
    parser.add_argument("--results", default="docs/results", type=pathlib.Path)
    args = parser.parse_args()
    parts = (_resnet8 if args.network == "resnet8" else _cifar10_cnn)(args)
    clean = {name: _float(images["clean"]) for name, (images, _) in parts.items()}
    labels = {name: labels for name, (_, labels) in parts.items()}
    distorted = {
        name: {kind: (_float(images[kind]), labels[name]) for kind in DISTORTIONS}
        for name, (images, _) in parts.items()
    }
    model = keras.saving.load_model(args.model, compile=False)
    resume(args.results / f"comparison-{args.network}.csv", args.work, args.network)
    for count in map(int, args.labels.split(",")):
        out = args.work / f"{args.network}-{count}"
        out.mkdir(parents=True, exist_ok=True)
        with joblib.parallel_config("loky", n_jobs=args.jobs):
            kerasft.compare(
                model,
                distorted=distorted["pool"],
                validation=distorted["validation"],
                distorted_test=distorted["test"],
                clean=(clean["pool"], labels["pool"]),
                clean_test=(clean["test"], labels["test"]),
                paired=True,
                methods=[OTHERS.get(name, name) for name in args.methods.split(";")],
                labels=count,
                seeds=args.seeds,
                out=out,
            )
        _write(args)


def _resnet8(args):
    """Images by distortion, and labels, of the parts to draw from, to stop by and to test on."""
    if args.lossless is None:
        raise SystemExit("resnet8 needs --lossless cifar10-lossless-4000.npz")
    _, paths, _ = list_image_folder(args.data / "train")
    with np.load(args.lossless) as file:
        images, labels, jpeg = file["x"], file["y"].astype(int), file["jpeg_index"]
    rest, pool = stratified_split(labels, 2000, seed=0)
    test, validation = (rest[part] for part in stratified_split(labels[rest], 500, seed=0))
    files = load_image_folder(args.data / "train", paths=[paths[i] for i in jpeg]).images
    return {
        name: (_distort(images[rows], name, jpeg=files[rows]), labels[rows])
        for name, rows in (("pool", pool), ("validation", validation), ("test", test))
    }


def _cifar10_cnn(args):
    """The same of the image files."""
    _, paths, labels = list_image_folder(args.data / "train")
    labels = np.asarray(labels)
    learned, others = stratified_split(labels, len(labels) // 5, seed=0)
    pool = learned[stratified_split(labels[learned], 4000, seed=0)[1]]
    validation = others[stratified_split(labels[others], 1000, seed=0)[1]]
    parts = {}
    for name, rows in (("pool", pool), ("validation", validation)):
        folder = load_image_folder(args.data / "train", paths=[paths[i] for i in rows])
        parts[name] = folder.images, folder.labels
    folder = load_image_folder(args.data / "test")
    parts["test"] = folder.images, folder.labels
    return {name: (_distort(images, name), labels) for name, (images, labels) in parts.items()}


def _distort(images, part, jpeg=None):
    kinds = [kind for kind in DISTORTIONS if kind != "jpeg"]
    distorted = {kind: kerasft.parse_distortion(kind, _SEED_OF[part])(images) for kind in kinds}
    if jpeg is None:
        jpeg = kerasft.parse_distortion("jpeg:high")(images)
    return {"clean": images, **distorted, "jpeg": jpeg}


def _float(images):
    return images.astype("float32")


def resume(runs, work, network):
    """Put runs done earlier where those with as many labels are added, if none are there."""
    if not runs.exists():
        return
    runs = pd.read_csv(runs, dtype=str, keep_default_na=False)
    for count, rows in runs.groupby("labelled_images", sort=False):
        path = work / f"{network}-{count}" / "comparison.csv"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, rows.to_csv(index=False).encode())


def _write(args):
    files = sorted(args.work.glob(f"{args.network}-*/comparison.csv"))
    texts = pd.concat([ResultsFile(file).read() for file in files], ignore_index=True)
    for name in ("model_sha256", "images_sha256"):
        for distortion, digests in texts.groupby("distortion")[name]:
            if digests.nunique() > 1:
                raise ValueError(
                    f"Expected runs of one {name} in {args.work} for {distortion}. Received: "
                    f"{', '.join(sorted(set(digests)))}; give another --work."
                )
    order = typed(texts).sort_values([*reversed(CELL), "method", "seed"], kind="stable")
    path = args.results / f"comparison-{args.network}.csv"
    # As they were written, to the last digit.
    write_whole(path, texts.loc[order.index].to_csv(index=False).encode())
    write_tables(path)
    print(f"Wrote {path}, its summary and verdicts", flush=True)


if __name__ == "__main__":
    main()
