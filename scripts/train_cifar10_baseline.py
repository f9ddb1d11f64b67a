"""Train the CIFAR-10 baseline of the paper on an image folder.

    python scripts/train_cifar10_baseline.py --data cifar10/train --out baseline.keras

40,000 images train and 10,000 validate (stratified, seeded); Adam with its
standard hyper-parameters; early stopping on the validation loss with patience
15 and the best weights restored (paper, Section 4.3). A run that is stopped
goes on where it stopped. Takes about 20 s an epoch on 2 cores.
"""

import argparse
import pathlib

import keras

from kerasft.datasets import load_image_folder, stratified_split
from kerasft.models import cifar10_cnn


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="folder/<class>/*.jpg")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="the .keras file to write")
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--epochs", default=200, type=int, help="at most this many")
    args = parser.parse_args()

    folder = load_image_folder(args.data, image_size=(32, 32))
    train, validation = stratified_split(folder.labels, len(folder.labels) // 5, args.seed)
    images = folder.images.astype("float32")
    keras.utils.set_random_seed(args.seed)
    model = cifar10_cnn()
    # XLA is Keras's default and about eight times slower here on a CPU.
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False
    )
    model.fit(
        images[train],
        folder.labels[train],
        batch_size=64,
        epochs=args.epochs,
        validation_data=(images[validation], folder.labels[validation]),
        callbacks=[
            keras.callbacks.EarlyStopping(patience=15, restore_best_weights=True),
            keras.callbacks.BackupAndRestore(args.out.with_suffix(".backup")),
        ],
        verbose=2,
    )
    partial = args.out.with_name(f".{args.out.name}.partial.keras")
    model.save(partial)
    partial.replace(args.out)


if __name__ == "__main__":
    main()
