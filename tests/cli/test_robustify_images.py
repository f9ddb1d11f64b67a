"""What `kerasft robustify` trains on is neither tested nor validated on."""

import shutil

import numpy as np
import pytest
from PIL import Image

from kerasft.cli.classifier import Classifier
from kerasft.cli.overlap import shared_images
from kerasft.cli.robustify_images import RobustifyImages
from kerasft.datasets import load_image_folder, save_image_folder
from kerasft.distortions import additive_white_gaussian_noise


@pytest.fixture
def read(trained_model, folders):
    classifier = Classifier.load(trained_model)

    def run(clean=folders / "clean", distorted=folders / "blurred", **further):
        given = dict.fromkeys(("validation", "test", "clean_test", "classes"))
        given |= {"seed": 0, "unpaired": False, **further}
        return RobustifyImages.read(classifier, clean, distorted, **given)

    return run


@pytest.fixture
def part(folders, tmp_path):
    """A function that copies files of `blurred` whose number is a multiple to a folder."""

    def copy(every):
        target = tmp_path / f"every{every}"
        for file in (folders / "blurred").rglob("*.png"):
            (target / file.parent.name).mkdir(parents=True, exist_ok=True)
            if int(file.stem) % every == 0:
                shutil.copy(file, target / file.parent.name)
        return target

    return copy


@pytest.fixture
def numbers(folders):
    """A function from images to their numbers in `blurred`, sorted."""
    known = load_image_folder(folders / "blurred", channels=1)
    number_of = {
        image.tobytes(): int(path.rpartition("/")[2].removesuffix(".png"))
        for image, path in zip(known.images, known.paths, strict=True)
    }
    return lambda images: sorted(number_of[np.asarray(image).tobytes()] for image in images)


@pytest.mark.parametrize("unpaired", [False, True])
def test_a_test_image_is_neither_trained_nor_validated_on(read, part, numbers, unpaired):
    images = read(test=part(4), unpaired=unpaired)
    tested = numbers(images.distorted_test[0])
    assert tested == list(range(0, 200, 4))
    used = numbers([*images.train[0], *images.validation[0]])
    assert used == sorted(set(range(200)) - set(tested))
    assert not set(numbers(images.distorted_to_rank)) & set(tested)
    assert "50 of 200 distorted images were left out, as test images" in images.notes[0]


@pytest.mark.parametrize("unpaired", [False, True])
def test_a_validation_image_is_neither_trained_nor_tested_on(read, part, numbers, unpaired):
    images = read(test=part(4), validation=part(6), unpaired=unpaired)
    assert numbers(images.distorted_test[0]) == list(range(0, 200, 4))
    validated = numbers(images.validation[0])
    assert validated == [n for n in range(0, 200, 6) if n % 4]
    assert numbers(images.train[0]) == [n for n in range(200) if n % 4 and n % 6]
    assert "17 of 34 validation images were left out, as test images" in images.notes[0]
    assert "67 of 200 distorted images were left out, as test or validation" in images.notes[1]


def test_sets_that_are_numbered_alike_have_no_image_in_common(read, others):
    images = read(test=others)
    assert len(images.train[0]) + len(images.validation[0]) == 200
    assert not any("left out" in note for note in images.notes)


def test_other_versions_of_one_picture_are_one_image(read, folders, tmp_path):
    known = load_image_folder(folders / "blurred", channels=1)
    noisy = additive_white_gaussian_noise(known.images // 2, 15, seed=1)
    paths = [path for path in known.paths if int(path.rpartition("/")[2][:-4]) % 4 == 0]
    rows = [known.paths.index(path) for path in paths]
    save_image_folder(tmp_path / "test", noisy[rows], paths)
    images = read(test=tmp_path / "test")
    assert "50 of 200 distorted images were left out, as test images" in images.notes[0]


@pytest.mark.parametrize(("same", "other"), [("bmp", "png"), ("png", "bmp")])
def test_another_picture_beside_it_hides_no_test_image(read, part, same, other):
    test = part(4)
    generator = np.random.default_rng(0)
    for file in list(test.rglob("*.png")):
        picture = Image.fromarray(generator.integers(0, 256, (8, 8), "uint8"))
        Image.open(file).save(file.with_suffix(f".{same}"))
        picture.save(file.with_suffix(f".{other}"))
    assert "50 of 200 distorted images were left out, as test images" in read(test=test).notes[0]


@pytest.mark.parametrize("alike", [2, 3])
def test_most_is_of_the_images_and_not_of_their_candidates(tmp_path, alike):
    paths = [f"a/{number}.png" for number in range(5)]
    pictures = np.random.default_rng(0).integers(0, 256, (15, 8, 8, 1), "uint8")
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    save_image_folder(mine, pictures[:5], paths)
    # Two candidates for each; of the last images neither is alike.
    save_image_folder(theirs, np.concatenate([pictures[:alike], pictures[alike - 5 :]]), paths)
    others = [path.replace(".png", ".bmp") for path in paths]
    for path, other in zip(paths, others, strict=True):
        (theirs / path).rename(theirs / other)
    save_image_folder(theirs, pictures[5:10], paths)
    shared = shared_images(mine, paths, [(theirs, sorted([*paths, *others]))])
    assert shared == set(paths if alike == 3 else paths[:alike])


@pytest.mark.parametrize("unpaired", [False, True])
def test_none_is_left_to_train_or_to_validate_on(read, part, folders, unpaired):
    with pytest.raises(ValueError, match="Expected distorted images that are not test images too"):
        read(test=part(1), unpaired=unpaired)
    with pytest.raises(ValueError, match=r"Expected distorted images .* validation images too"):
        read(validation=part(1), unpaired=unpaired)
    with pytest.raises(ValueError, match="Expected validation images that are not test images too"):
        read(test=part(3), validation=part(3), unpaired=unpaired)
    assert len(read(test=folders / "test", unpaired=unpaired).train[0]) == 160


def test_clean_versions_of_images_trained_on_measure_too_high(read, folders):
    told = "are clean versions of images trained on, so it is somewhat too high."
    note = read(unpaired=True).notes[-1]
    assert f"measured on all 200 clean images; 160 of them {told}" in note
    apart = read(clean=folders / "clean_test", unpaired=True).notes[-1]
    assert apart == "Clean accuracy was measured on all 100 clean images."
    note = read(clean_test=folders / "clean").notes[-1]
    assert f"200 separate clean images; 160 of them {told}" in note
    apart = read(clean_test=folders / "clean_test").notes[-1]
    assert apart == "Clean accuracy was measured on 100 separate clean images."


@pytest.mark.parametrize("role", ["clean", "clean_test"])
def test_clean_sets_that_are_numbered_alike_are_no_versions(read, others, role):
    note = read(**{role: others}, unpaired=role == "clean").notes[-1]
    assert note.startswith("Clean accuracy was measured on")
    assert note.endswith("clean images.")
