"""Every experiment of the paper at toy size, on the embedded digits, in minutes.

    python scripts/reproduce_quick.py

One process runs all commands: the start of one takes as long as most of them.
"""

import tempfile
from pathlib import Path

from kerasft.datasets import digits, save_image_folder
from kerasft_cli.command import main


def run(*arguments):
    """`kerasft reproduce …`; stops at the first that fails."""
    try:
        main(["reproduce", *map(str, arguments)])
    except SystemExit as exit_:
        if exit_.code:
            raise


def reproduce_all(out):
    """Every experiment, with its files below `out`."""
    # Strong noise, on a network that knows its digits: where less is to be gained, early
    # stopping comes early.
    common = ["--dataset", "digits", "--baseline-epochs", 30]
    common += ["--cache", out / "cache", "--out", out / "results", "--jobs", 1]
    both = ["--distortions", "blur:1,awgn:25", "--pairs", 200]
    noise = ["--distortions", "awgn:25"]
    run("figure4", *common, *both)
    run("overlap", *common, *both)
    run("figure5", *common, *noise, "--sizes", 50, "--seeds", 2)
    further = "first layer whole,most in first layer,most in last layer,scratch"
    run("figure5", *common, *noise, "--sizes", 50, "--seeds", 1, "--methods", further)
    run("figure6", *common, *noise, "--size", 50, "--seeds", 1)
    run("transfer", *common, *noise, "--size", 50, "--seeds", 1)
    run("selection", *common, *noise, "--sizes", 50, "--seeds", 1)

    images, labels = (part[:300] for part in digits())
    names = [f"{label}/{i}.png" for i, label in enumerate(labels)]
    save_image_folder(out / "digits", images, names)
    (baseline,) = (out / "cache").glob("cifar10_cnn-*.keras")
    run(
        *("table1", baseline, "--data", out / "digits", "--size", 100, "--subsets", 2),
        *("--out", out / "results"),
    )
    run("report", "--out", out / "results")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        reproduce_all(Path(folder))
