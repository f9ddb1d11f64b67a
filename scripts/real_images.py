"""Run `kerasft robustify` on real images and models, over seeds, and keep the results.

    python scripts/real_images.py photographs --data cifar10 --model baseline.keras
    python scripts/real_images.py resnet8 --data cifar10 --model mlperf-tiny-resnet8.h5 \\
        --lossless cifar10-lossless-4000.npz
    python scripts/real_images.py summaries

`photographs`: the CIFAR-10 image files (`cifar10/train/<class>/*.jpg`,
`cifar10/test/<class>/*.jpg`) under noise of σ = 15, with the network of
`train_baseline.py`. 500 distorted images from the network's own 40,000
training images are trained on and 1,000 from its 10,000 validation images stop
the training; once more with the 500 alone, a fifth of them held out.

`resnet8`: the MLPerf Tiny ResNet-8, trained on lossless CIFAR-10, as others
saved it. 500 images are trained on, 500 stop the training, 3,000 test; their
JPEG files and noise of σ = 15 are the distortions. These 4,000 lossless images
were in the network's own training set, so its clean accuracy is too high here.

`summaries`: those of both anew, from the runs that are there.

Folders of distorted images and all outputs go to --work. A run whose row is in
the results file is not repeated, so a stopped script goes on where it stopped.
Rows of another network or of other images, and those that do not say which
theirs are, are refused: give another --results.
"""

import argparse
import hashlib
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pandas as pd

from kerasft.comparison.model_digest import model_digest
from kerasft.datasets import (
    list_image_folder,
    load_image_folder,
    save_image_folder,
    stratified_split,
)
from kerasft.distortions import AdditiveWhiteGaussianNoise
from kerasft.experiments import provenance
from kerasft.experiments.results_file import ResultsFile
from kerasft.files import write_whole
from kerasft.statistics import mean_interval

_SIGMA = 15


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("case", choices=("photographs", "resnet8", "summaries"))
    parser.add_argument("--data", type=pathlib.Path, help="CIFAR-10 image files")
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--lossless", type=pathlib.Path, help="the .npz of lossless images")
    parser.add_argument("--work", default="work", type=pathlib.Path)
    parser.add_argument("--results", default="docs/results", type=pathlib.Path)
    parser.add_argument("--seeds", default=3, type=int)
    args = parser.parse_args()
    if args.case == "summaries":
        for case in ("photographs", "resnet8"):
            _summarise(ResultsFile(args.results / f"{case}.csv"))
        return
    if args.data is None or args.model is None:
        parser.error(f"{args.case} needs --data and --model")
    if args.case == "resnet8" and args.lossless is None:
        parser.error("resnet8 needs --lossless cifar10-lossless-4000.npz")
    tested = args.data / "test" if args.case == "photographs" else args.lossless
    digests = {
        "model_sha256": model_digest(keras.saving.load_model(args.model, compile=False)),
        "images_sha256": images_digest([args.data / "train", tested]),
    }
    file = ResultsFile(args.results / f"{args.case}.csv")
    check_digests(file, digests)
    # Of their own for other images.
    args.work = args.work / args.case / digests["images_sha256"]
    runs = _photographs(args) if args.case == "photographs" else _resnet8(args)
    for key, options in runs:
        _run(file, args, key, options, digests)
    _summarise(file)


def images_digest(sources):
    """What tells these folders and files of images from others, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for source in sources:
        for path in list_image_folder(source)[1] if source.is_dir() else [""]:
            content = hashlib.sha256((source / path).read_bytes()).hexdigest()
            digest.update(f"{path} {content}\n".encode())
        digest.update(b"\n")
    return digest.hexdigest()[:16]


def check_digests(file, digests):
    """Refuse a file with rows of another network or of other images."""
    rows = file.read()
    if rows is None:
        return
    for name, digest in digests.items():
        others = sorted(set(rows.get(name, [""])) - {digest})
        if others:
            received = f"those of {others[0]!r}" if others[0] else "rows that do not say theirs"
            raise ValueError(
                f"Expected results with {name} = {digest} in {file.path}. Received: {received}; "
                "give another --results."
            )


def _photographs(args):
    """Yield each run's key and its options of `kerasft robustify`."""
    train, test = args.data / "train", args.data / "test"
    _, paths, labels = list_image_folder(train)
    learned, validation = stratified_split(labels, len(labels) // 5, seed=0)
    labels = np.asarray(labels)
    noisy_test = args.work / "test"
    _distort(test, list_image_folder(test)[1], noisy_test, seed=1000)
    for seed in range(args.seeds):
        folders = {}
        for name, pool, size in (("train", learned, 500), ("validation", validation, 1000)):
            drawn = pool[stratified_split(labels[pool], size, seed)[1]]
            folders[name] = args.work / f"{name}-{seed}"
            _distort(train, [paths[i] for i in drawn], folders[name], seed=seed)
        common = {
            "clean": train,
            "distorted": folders["train"],
            "test": noisy_test,
            "clean-test": test,
            "seed": seed,
        }
        with_validation = {**common, "validation": folders["validation"]}
        for which in ("most", "least", "random", "all"):
            yield ("500 images", which, seed), {**with_validation, "which": which}
        yield ("400 images, 100 held out", "most", seed), {**common, "which": "most"}


def _resnet8(args):
    """Yield each run's key and its options of `kerasft robustify`."""
    names, jpeg_paths, _ = list_image_folder(args.data / "train")
    with np.load(args.lossless) as file:
        images, labels, jpeg = file["x"], file["y"].astype(int), file["jpeg_index"]
    folder = args.work
    jpegs = load_image_folder(args.data / "train", paths=[jpeg_paths[i] for i in jpeg]).images
    for seed in range(args.seeds):
        rest, train = stratified_split(labels, 500, seed)
        rest, validation = (rest[part] for part in stratified_split(labels[rest], 500, seed))
        parts = {"train": train, "validation": validation, "test": rest}
        noisy = AdditiveWhiteGaussianNoise(_SIGMA, seed)(images)
        for part, rows in parts.items():
            paths = [f"{names[labels[i]]}/{i:04d}.png" for i in rows]
            save_image_folder(folder / f"clean-{part}-{seed}", images[rows], paths)
            save_image_folder(folder / f"awgn{_SIGMA}-{part}-{seed}", noisy[rows], paths)
            # Decoded again losslessly: the distortion is in the pixels.
            save_image_folder(folder / f"jpeg-{part}-{seed}", jpegs[rows], paths)
        for kind in ("jpeg", f"awgn{_SIGMA}"):
            common = {
                "clean": folder / f"clean-train-{seed}",
                "distorted": folder / f"{kind}-train-{seed}",
                "validation": folder / f"{kind}-validation-{seed}",
                "test": folder / f"{kind}-test-{seed}",
                "clean-test": folder / f"clean-test-{seed}",
                "seed": seed,
            }
            for which in ("most", "all"):
                yield (f"{kind}, all 9 convolutions", which, seed), {**common, "which": which}
                first = {**common, "which": which, "layers": "conv2d,conv2d_1,conv2d_2"}
                yield (f"{kind}, first 3 convolutions", which, seed), first


def _distort(source, paths, target, seed):
    if target.exists():
        return
    images = load_image_folder(source, paths=paths).images
    noisy = AdditiveWhiteGaussianNoise(_SIGMA, seed)(images)
    names = [pathlib.PurePosixPath(path).with_suffix(".png").as_posix() for path in paths]
    # Renamed when complete, so that a stopped script does not leave a part.
    partial = target.with_name(f"{target.name}.partial")
    save_image_folder(partial, noisy, names)
    partial.rename(target)


def _run(file, args, key, options, digests):
    case, which, seed = key
    done = file.read()
    done = [] if done is None else done.to_dict("records")
    if any((row["case"], row["which"], int(row["seed"])) == key for row in done):
        return
    out = args.work / "out" / f"{case}-{which}-{seed}".replace(" ", "_")
    arguments = [f"--{name}={value}" for name, value in options.items()]
    subprocess.run(
        [sys.executable, "-m", "kerasft_cli", "robustify", str(args.model), *arguments]
        + [f"--out={out}", "--force"],
        check=True,
    )
    results = pd.read_csv(out / "results.csv")
    overall = results[results["class"].isna()].set_index("images")
    row = {
        "case": case,
        "which": which,
        "seed": seed,
        "epochs": len(pd.read_csv(out / "history.csv")),
        "test_images": overall.loc["distorted", "count"],
        **{
            f"{images}_{moment}": overall.loc[images, moment]
            for images in ("distorted", "clean")
            for moment in ("before", "after")
        },
        **digests,
        **provenance(),
    }
    file.write(pd.DataFrame([*done, row]))


def _summarise(file):
    """Write means and 95% intervals over the seeds beside the results file."""
    rows = []
    for (case, which), group in file.table().groupby(["case", "which"], sort=False):
        row = {"case": case, "which": which, "seeds": len(group)}
        for column in ("distorted_before", "distorted_after", "clean_before", "clean_after"):
            mean, low, high = mean_interval(group[column])
            row |= {column: mean, f"{column}_low": low, f"{column}_high": high}
        rows.append(row)
    summary = pd.DataFrame(rows).round(5)
    write_whole(file.path.with_suffix(".summary.csv"), summary.to_csv(index=False).encode())
    print(summary.to_string(index=False))


if __name__ == "__main__":
    main()
