from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kerasft.cli.classifier import Classifier
from kerasft.cli.convolutions import check_convolutions
from kerasft.cli.csv_table import csv_table
from kerasft.cli.input_folders import check_output_apart, check_two_folders, same_classes
from kerasft.cli.names import split_names
from kerasft.cli.output import print_json, print_written
from kerasft.cli.output_folder import check_output_folder, output_folder, written_files
from kerasft.cli.pairs import find_pairs
from kerasft.cli.unpaired import Unpaired, rank
from kerasft.distortions import parse_distortion
from kerasft.distortions.distort_in_parts import distort_in_parts
from kerasft.susceptibility import rank_filters
from kerasft.susceptibility.ranking import fraction_size
from kerasft.susceptibility.settled import validate_confidence

_FILES = ("ranking.csv", "ranking.json")


def run(
    model,
    clean,
    distorted,
    distortion,
    confidence,
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
    """The command `kerasft rank`; arguments are its options."""
    if (distorted is None) == (distortion is None):
        raise ValueError("Expected one of --distorted DIR and --distortion KIND.")
    validate_confidence(confidence)
    if unpaired and confidence is not None:
        raise ValueError("Expected --confidence without --unpaired. Received: both.")
    check_output_folder(out, force, _FILES)
    check_output_apart(out, clean, distorted)
    check_two_folders(clean, distorted)
    without_pairs = Unpaired.from_options(unpaired, features, metric, exemplars)
    if unpaired and distorted is None:
        raise ValueError("Expected --distorted DIR with --unpaired. Received: --distortion.")
    effect = None if distortion is None else parse_distortion(distortion, seed)
    names, wanted = split_names(classes), split_names(layers)
    same_classes([clean] if distorted is None else [clean, distorted], names)
    twins = {}
    if distorted is not None and not unpaired:
        twins = find_pairs(clean, distorted, names)[1]
    classifier = Classifier.load(model, pixels)
    # Names are checked before images are read.
    check_convolutions(classifier.model, model, wanted)
    folder = classifier.read(clean, names, list(twins.values()) or None)
    if effect is not None:
        distorted_images = distort_in_parts(effect, folder.images)
    else:
        distorted_images = classifier.read(distorted, names, list(twins) or None).images
    classifier.check_pixels(folder.images, folder.labels)
    images = classifier.to_pixels(folder.images), classifier.to_pixels(distorted_images)
    if unpaired:
        ranking = rank(classifier.model, *images, wanted, without_pairs)
    else:
        ranking = rank_filters(classifier.model, *images, layers=wanted, confidence=confidence)
    with output_folder(out, force) as staging:
        ranking.save(staging / "ranking.json")
        (staging / "ranking.csv").write_bytes(csv_table(ranking.to_frame()))
        files = written_files(staging, out)
    if as_json:
        print_json({"layers": _layers(ranking), "files": files})
        return
    _print_table(ranking, unpaired, len(folder.images))
    print_written(files)


def _layers(ranking):
    return {
        name: {
            "order": layer.order,
            "borda_counts": layer.borda_counts,
            "mean_distance": layer.mean_distance,
            "pairs": layer.pairs,
            "confidence": layer.confidence,
        }
        for name, layer in ranking.items()
    }


def _print_table(ranking, unpaired, images):
    first = next(iter(ranking.values()))
    kind = "exemplar pair" if unpaired else "pair"
    number = first.pairs if first.confidence is None else f"{first.pairs} of {images}"
    table = Table(title=f"{number} {kind}{'' if number == 1 else 's'}", title_justify="left")
    table.add_column("layer")
    table.add_column("filters", justify="right")
    table.add_column("most affected first")
    table.add_column("share of points held by the top 25%", justify="right")
    if first.confidence is not None:
        table.add_column("top 25% settled", justify="right")
    for name, layer in ranking.items():
        top = layer.order[: fraction_size(len(layer.order))]
        counts = layer.borda_counts
        share = "no votes" if counts is None else f"{counts[top].sum() / counts.sum():.0%}"
        listed = " ".join(map(str, top[:12])) + (" …" if len(top) > 12 else "")
        settled = () if layer.confidence is None else (f"{layer.confidence:.1%}",)
        table.add_row(escape(name), str(len(layer.order)), listed, share, *settled)
    Console().print(table)
