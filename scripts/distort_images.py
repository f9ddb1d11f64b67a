"""Write distorted copies of a draw of labelled images, as lossless PNG files.

    python scripts/distort_images.py --data photos --out noisy --distortion awgn:15 --count 500

The copies keep their paths below the folder (with the suffix .png), so `kerasft
robustify --clean photos --distorted noisy` finds the pairs. Pictures of different sizes
need --image-size HEIGHT WIDTH, best that which the model takes: they are resized before they
are distorted, so that σ is in pixels that the model sees. Pictures without colour get noise
without colour, and are written so.
"""

import argparse
import pathlib

from kerasft.cli.input_folders import check_output_apart
from kerasft.datasets import (
    list_image_folder,
    load_image_folder,
    save_image_folder,
    stratified_split,
)
from kerasft.distortions import parse_distortion
from kerasft.distortions.distort_in_parts import distort_in_parts


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="folder/<class>/*.jpg|png")
    parser.add_argument("--out", required=True, help="folder to write to, new or empty")
    parser.add_argument("--distortion", required=True, help="such as awgn:15, blur:1.5, jpeg:30")
    parser.add_argument("--count", type=int, help="images to draw; default: all")
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument(
        "--image-size",
        nargs=2,
        type=int,
        metavar=("HEIGHT", "WIDTH"),
        help="resize to it first; default: as they are, all of one size",
    )
    args = parser.parse_args()
    try:
        _distort(args)
    except (ValueError, OSError) as error:
        parser.error(" ".join(str(error).split()))


def _distort(args):
    out = pathlib.Path(args.out)
    if out.exists() and any(out.iterdir()):
        # Copies of two distortions would lie in one folder, and none could be told.
        raise ValueError(f"Expected a new or empty folder to write to. Received: {out}.")
    effect = parse_distortion(args.distortion, args.seed)
    check_output_apart(out, args.data)
    names, paths, labels = list_image_folder(args.data)
    if args.count is not None and args.count < len(paths):
        paths = [paths[i] for i in stratified_split(labels, args.count, args.seed)[1]]
    size = None if args.image_size is None else tuple(args.image_size)
    images = load_image_folder(args.data, paths=paths, image_size=size).images
    if (images == images[..., :1]).all():
        # Noise of its own in each channel would be averaged away by a model that takes gray.
        images = images[..., :1]
    distorted = distort_in_parts(effect, images)
    targets = [pathlib.PurePosixPath(path).with_suffix(".png").as_posix() for path in paths]
    save_image_folder(out, distorted, targets)
    for name in names:
        # Also where nothing of a class was drawn: its folder says that it is one.
        (out / name).mkdir(exist_ok=True)


if __name__ == "__main__":
    main()
