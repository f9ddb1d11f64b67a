from kerasft.cli.classifier import Classifier
from kerasft.cli.names import split_names
from kerasft.cli.output import print_json, print_line
from kerasft.datasets import list_image_folder
from kerasft.distortions import parse_distortion
from kerasft.distortions.distort_in_parts import distort_in_parts
from kerasft.statistics import proportion_interval


def run(model, data, distortion, pixels, classes, seed, as_json):
    """The command `kerasft evaluate`; arguments are its options."""
    effect = None if distortion is None else parse_distortion(distortion, seed)
    names = split_names(classes)
    list_image_folder(data, names)
    classifier = Classifier.load(model, pixels)
    folder = classifier.read(data, names)
    classifier.check_pixels(folder.images, folder.labels)
    images = folder.images if effect is None else distort_in_parts(effect, folder.images)
    right = int((classifier.predict(images) == folder.labels).sum())
    low, high = proportion_interval(right, len(images))
    if as_json:
        print_json(
            {
                "accuracy": right / len(images),
                "accuracy_low": low,
                "accuracy_high": high,
                "correct": right,
                "images": len(images),
                "distortion": None if effect is None else str(effect),
            }
        )
        return
    print_line(
        f"accuracy {right / len(images):.2%}  ({right} of {len(images)} images"
        f"{'' if effect is None else f', {effect}'}; 95% interval {low:.1%} to {high:.1%})"
    )
