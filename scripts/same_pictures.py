"""How alike versions of one picture are, and pictures that only have the same path.

    python scripts/same_pictures.py --data cifar10/train --others cifar10/test

What `kerasft robustify` and `kerasft compare` take for one image in two folders: the
correlation of both, small and gray, by which the bound in kerasft/cli/overlap.py was
chosen. Pictures are drawn evenly from the paths that both folders have; each is compared
with the other folder's, and two distorted versions of it with each other.
"""

import argparse
import pathlib
import tempfile

import numpy as np
import pandas as pd

from kerasft.cli.overlap import ALIKE, likeness
from kerasft.datasets import (
    list_image_folder,
    load_image_folder,
    save_image_folder,
    stratified_split,
)
from kerasft.distortions import parse_distortion
from kerasft.files import write_whole

DISTORTIONS = (
    *("awgn:25", "awgn:50", "blur:1.5", "blur:3", "jpeg:5"),
    *("motion:9", "contrast:0.2", "impulse:0.1", "shot:10"),
)
RESULTS = pathlib.Path(__file__).resolve().parents[1] / "docs" / "results"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="folder/<class>/*.jpg|png")
    parser.add_argument("--others", required=True, help="other pictures at the same paths")
    parser.add_argument("--count", default=600, type=int, help="pictures to draw")
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--out", default=RESULTS / "same-pictures.csv", type=pathlib.Path)
    args = parser.parse_args()
    try:
        table = measure(args.data, args.others, args.count, args.seed)
    except (ValueError, OSError) as error:
        parser.error(" ".join(str(error).split()))
    print(table.to_string(index=False))
    write_whole(args.out, table.to_csv(index=False).encode())


def measure(data, others, count, seed):
    """One row for unlike pictures, and one for each distortion against noise of 25."""
    names, paths, labels = list_image_folder(data)
    there = set(list_image_folder(others, names)[1])
    rows = [row for row, path in enumerate(paths) if path in there]
    if len(rows) > count:
        drawn = stratified_split([labels[row] for row in rows], count, seed)[1]
        rows = [rows[row] for row in drawn]
    if not rows:
        raise ValueError(f"Expected paths that are in {others} too. Received: none in {data}.")
    shared = [paths[row] for row in rows]
    table = [_row("other pictures", likeness(data, shared, others, shared))]
    images = load_image_folder(data, paths=shared).images
    copies = [pathlib.PurePosixPath(path).with_suffix(".png").as_posix() for path in shared]
    with tempfile.TemporaryDirectory() as folder:
        # As files, for that is how they are compared.
        for name, effect in {
            "noisy": parse_distortion("awgn:25", seed + 1),
            **{distortion: parse_distortion(distortion, seed) for distortion in DISTORTIONS},
        }.items():
            version = pathlib.Path(folder) / name.replace(":", "-")
            save_image_folder(version, effect(images), copies)
            if name != "noisy":
                values = likeness(version, copies, pathlib.Path(folder) / "noisy", copies)
                table.append(_row(f"one picture, {name} and awgn:25", values))
    return pd.DataFrame(table)


def _row(compared, values):
    quantiles = np.quantile(values, (0, 0.01, 0.05, 0.5, 0.95, 0.99, 1))
    names = ("lowest", "1%", "5%", "median", "95%", "99%", "highest")
    return {
        "compared": compared,
        "pictures": len(values),
        "alike": round(float(np.mean(values >= ALIKE)), 4),
        **{name: round(float(value), 3) for name, value in zip(names, quantiles, strict=True)},
    }


if __name__ == "__main__":
    main()
