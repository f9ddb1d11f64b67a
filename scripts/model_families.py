"""Convert, train, merge, save and open one network of every family in keras.applications.

    python scripts/model_families.py [FAMILY …] [--out docs/results/applications.csv]

Each is built with random weights, as small as its family goes, on the smallest
images that it takes. Two of its convolutions are made partially trainable and
trained for two steps. The files of the merged networks are opened in another
process, where kerasft cannot be imported.

Without names all families are checked and the table is written. With names
their rows are shown and nothing is written. Exit status 1 where anything fails.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import keras
import numpy as np
import pandas as pd

import kerasft
from kerasft.experiments import provenance
from kerasft.files import write_whole
from kerasft.layer_lookup import CONVOLUTIONS, named_layers, short_name
from kerasft.progress import track

# Family: class, width and height of its images, arguments that make it small.
FAMILIES = {
    "VGG": ("VGG16", 32, {}),
    "ResNet": ("ResNet50", 32, {}),
    "ResNetV2": ("ResNet50V2", 32, {}),
    "Inception": ("InceptionV3", 75, {}),
    "InceptionResNet": ("InceptionResNetV2", 75, {}),
    "Xception": ("Xception", 71, {}),
    "DenseNet": ("DenseNet121", 32, {}),
    "NASNet": ("NASNetMobile", 32, {}),
    "MobileNet": ("MobileNet", 32, {"alpha": 0.25}),
    "MobileNetV2": ("MobileNetV2", 32, {"alpha": 0.35}),
    "MobileNetV3": ("MobileNetV3Small", 32, {"alpha": 0.75}),
    "EfficientNet": ("EfficientNetB0", 32, {}),
    "EfficientNetV2": ("EfficientNetV2B0", 32, {}),
    "ConvNeXt": ("ConvNeXtTiny", 32, {}),
}
CHECKS = (
    "same_predictions",
    "same_bytes_back",
    "same_layers_back",
    "frozen_bytes_stand",
    "selected_filters_move",
    "weights_fit_source",
    "ranked",
    "opens_without_kerasft",
)

_OPEN = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "kerasft":
            raise ImportError("kerasft cannot be imported")
sys.meta_path.insert(0, Refuse())
import keras, numpy
for file in sys.argv[1:]:
    model = keras.saving.load_model(file)
    numpy.save(file + ".opened.npy", model(numpy.load(file + ".images.npy")))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=", ".join(FAMILIES))
    parser.add_argument("--out", default="docs/results/applications.csv", type=pathlib.Path)
    args = parser.parse_args()
    unknown = sorted(set(args.families) - set(FAMILIES))
    if unknown:
        parser.error(f"Expected families out of {list(FAMILIES)}. Received: {unknown}.")
    table = check_families(args.families or FAMILIES)
    print(table.T.to_string())
    if not args.families:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        content = table.assign(**provenance()).to_csv(index=False)
        write_whole(args.out, content.encode())
    return 0 if table[list(CHECKS)].eq("yes").all(axis=None) else 1


def check_families(names):
    """Check families of `keras.applications`.

    Args:
        names: Keys of `FAMILIES`.

    Returns:
        `pandas.DataFrame`, a row for each; the columns of `CHECKS` hold
        "yes" or "no".
    """
    with tempfile.TemporaryDirectory() as folder:
        rows, files = [], {}
        for name in track(names, len(names), "Checking families"):
            files[name] = pathlib.Path(folder) / f"{name}.keras"
            rows.append(_check(name, files[name]))
            keras.utils.clear_session()
        subprocess.run([sys.executable, "-c", _OPEN, *map(str, files.values())], check=True)
        for row in rows:
            file = files[row["family"]]
            opened, merged = (np.load(f"{file}.{kind}.npy") for kind in ("opened", "merged"))
            row["opens_without_kerasft"] = np.array_equal(opened, merged)
    table = pd.DataFrame(rows)
    table[list(CHECKS)] = table[list(CHECKS)].replace({True: "yes", False: "no"})
    return table


def _check(name, file):
    model_name, size, arguments = FAMILIES[name]
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, model_name)(
        input_shape=(size, size, 3),
        weights=None,
        classes=10,
        classifier_activation=None,
        **arguments,
    )
    layers = named_layers(model)
    plain = [path for path, layer in layers.items() if type(layer) is keras.layers.Conv2D]
    others = [
        type(layer).__name__
        for layer in layers.values()
        if isinstance(layer, CONVOLUTIONS) and type(layer) is not keras.layers.Conv2D
    ]
    chosen = {short_name(path, layers): path for path in (plain[0], plain[len(plain) // 2])}
    images = np.random.default_rng(0).integers(0, 256, (4, size, size, 3)).astype("float32")
    predicted, before = _predict(model, images), model.get_weights()

    ranking = kerasft.rank_filters(model, images, kerasft.GaussianBlur(1.0), layers=list(chosen))
    selection = ranking.select(fraction=0.25)
    partial = kerasft.make_partially_trainable(model, selection)
    difference = float(np.abs(_predict(partial, images) - predicted).max())
    untrained = kerasft.merge(partial)

    # What moves whatever it can reach.
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.1, use_ema=True)
    partial.compile(optimizer, "mse", jit_compile=False)
    for _ in range(2):
        partial.train_on_batch(images, predicted + 1.0)
    merged = kerasft.merge(partial)
    filters_of = {chosen[name]: filters for name, filters in selection.items()}
    stand, move = _movements(layers, named_layers(merged), filters_of)

    merged.save(file)
    np.save(f"{file}.images.npy", images)
    np.save(f"{file}.merged.npy", _predict(merged, images))
    merged.save_weights(file.with_suffix(".weights.h5"))
    model.load_weights(file.with_suffix(".weights.h5"))
    return {
        "family": name,
        "model": model_name,
        "image_size": size,
        "parameters": model.count_params(),
        "conv2d_layers": len(plain),
        "other_convolutions": len(others),
        "kind_of_others": " ".join(sorted(set(others))),
        "largest_difference": difference,
        "same_predictions": difference == 0 and (_predict(untrained, images) == predicted).all(),
        "same_bytes_back": _bytes(untrained.get_weights()) == _bytes(before),
        "same_layers_back": all(_layers(copy) == _layers(model) for copy in (untrained, merged)),
        "frozen_bytes_stand": stand,
        "selected_filters_move": move,
        "weights_fit_source": _bytes(model.get_weights()) == _bytes(merged.get_weights()),
        "ranked": sorted(ranking) == sorted(chosen),
    }


def _predict(model, images):
    return keras.ops.convert_to_numpy(model(images, training=False))


def _bytes(weights):
    return [weight.tobytes() for weight in weights]


def _layers(model):
    """Path, class and configuration of each layer."""
    return [
        (path, type(layer).__module__, type(layer).__qualname__, layer.get_config())
        for path, layer in named_layers(model).items()
    ]


def _movements(layers, trained, filters_of):
    """Whether all stands that was not selected, and every selected filter has moved."""
    stand = move = True
    for path, layer in layers.items():
        if isinstance(layer, keras.Model):
            continue
        old, new = layer.get_weights(), trained[path].get_weights()
        if path not in filters_of:
            stand &= _bytes(old) == _bytes(new)
            continue
        for index in range(layer.filters):
            moved = _bytes(w[..., index] for w in old) != _bytes(w[..., index] for w in new)
            if index in filters_of[path]:
                move &= moved
            else:
                stand &= not moved
    return stand, move


if __name__ == "__main__":
    sys.exit(main())
