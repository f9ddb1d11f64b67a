"""Train a baseline of the paper on CIFAR-10, as the experiments do.

    python scripts/train_baseline.py --data cifar10 --out baseline.keras

40,000 images train and 10,000 validate (stratified, seeded); Adam with its
standard hyper-parameters; early stopping on the validation loss with patience
15 and the best weights restored (paper, Section 4.3). A run that is stopped
goes on where it stopped.
"""

import argparse
import pathlib

from kerasft.datasets import cifar10
from kerasft.experiments import NETWORKS, Baseline, ImageStore, train_baseline
from kerasft.files import write_whole


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", help="official archive, or folders train/<class>, test/<class>")
    parser.add_argument("--network", default="cifar10_cnn", choices=sorted(NETWORKS))
    parser.add_argument("--out", required=True, help="the .keras file to write")
    parser.add_argument("--cache", default="kerasft-cache", help="where training is kept")
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--epochs", default=200, type=int, help="at most this many")
    args = parser.parse_args()
    try:
        _train(args)
    except (ValueError, OSError) as error:
        parser.error(" ".join(str(error).split()))


def _train(args):
    out = pathlib.Path(args.out)
    if not out.absolute().parent.is_dir() or out.is_dir():
        raise ValueError(f"Expected a file to write in a folder that exists. Received: {out}.")
    baseline = Baseline(args.network, epochs=args.epochs, seed=args.seed)
    store = ImageStore.create(cifar10(args.data), args.cache)
    write_whole(out, train_baseline(baseline, store, args.cache).read_bytes())


if __name__ == "__main__":
    main()
