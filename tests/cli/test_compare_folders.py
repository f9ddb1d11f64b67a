"""No method of `kerasft compare` gets an image that is measured on, or its clean version."""

import os
import shutil

import numpy as np
import pytest

from kerasft.cli.compare_folders import read_folders
from kerasft.datasets import load_image_folder

makes_links = pytest.mark.skipif(os.name != "posix", reason="makes links")


@pytest.fixture
def read(trained_model, folders):
    def run(clean=folders / "clean", distorted=folders / "blurred", **further):
        given = dict.fromkeys(("validation", "test", "clean_test", "classes"))
        return read_folders(trained_model, clean, distorted, pixels="0..255", **(given | further))

    return run


@pytest.fixture
def incomplete(folders, tmp_path):
    """The clean folder without every sixth file."""
    shutil.copytree(folders / "clean", tmp_path / "incomplete")
    for file in sorted((tmp_path / "incomplete").rglob("*.png"))[::6]:
        file.unlink()
    return tmp_path / "incomplete"


@pytest.fixture
def subset(folders, tmp_path):
    """A function that copies some files of `blurred` to a folder, as JPEG by their names."""

    def copy(name, every):
        for file in sorted((folders / "blurred").rglob("*.png")):
            target = tmp_path / name / file.parent.name / f"{file.stem}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            if int(file.stem) % every == 0:
                shutil.copy(file, target)
        return tmp_path / name

    return copy


def _paths(pixels, folder):
    """Where images are in a folder, without suffixes; those that are not there are left out."""
    known = load_image_folder(folder, channels=1)
    path_of = {
        image.astype("float32").tobytes(): path.rpartition(".")[0]
        for image, path in zip(known.images, known.paths, strict=True)
    }
    found = [path_of.get(np.asarray(image, "float32").tobytes()) for image in pixels]
    return [path for path in found if path is not None]


def test_incomplete_pairs_give_no_clean_versions_of_test_and_validation_images(
    read, incomplete, folders
):
    inputs = read(clean=incomplete, validation=folders / "test")
    tested = _paths(inputs.images["distorted_test"][0], folders / "blurred")
    assert len(tested) == 40
    assert not inputs.images["paired"]
    given = _paths(inputs.images["clean"][0], incomplete)
    measured = _paths(inputs.images["clean_test"][0], incomplete)
    assert len(given) == len(inputs.images["clean"][0]) > 100
    assert not set(given) & set(tested)
    assert sorted(given + measured) == sorted(_paths_of(incomplete))
    assert any("166 of 200 distorted images have a clean version" in x for x in inputs.notes)
    assert not any("Every distorted" in x for x in inputs.notes)


def test_what_may_be_held_out_for_validation_gives_no_clean_versions_either(read, incomplete):
    # Every clean image is the version of one that is tested or drawn from.
    inputs = read(clean=incomplete)
    assert inputs.images["clean"] is None
    assert len(inputs.images["clean_test"][0]) == 166
    assert any("No method was given clean images" in x for x in inputs.notes)


@pytest.mark.parametrize("role", ["test", "validation"])
def test_incomplete_pairs_beside_a_folder_of_the_same_paths(
    read, incomplete, subset, folders, role
):
    other = "test" if role == "validation" else "validation"
    inputs = read(clean=incomplete, **{role: subset("third", 3), other: folders / "test"})
    given = _paths(inputs.images["clean"][0], incomplete)
    assert given
    assert not set(given) & set(_paths_of(subset("third", 3)))


@pytest.mark.parametrize("role", ["test", "validation"])
def test_pairs_of_measured_images_are_left_out(read, subset, folders, role):
    fourth = subset("fourth", 4)
    inputs = read(**{role: fourth})
    assert inputs.images["paired"]
    drawn = _paths(inputs.images["distorted"][0], folders / "blurred")
    given = _paths(inputs.images["clean"][0], folders / "clean")
    assert drawn == given
    measured = set(_paths_of(fourth)) | set(
        _paths(inputs.images["distorted_test"][0], folders / "blurred")
    )
    assert sorted([*given, *measured]) == sorted(_paths_of(folders / "clean"))
    assert any(f"50 of 200 distorted images were left out, as {role}" in x for x in inputs.notes)
    assert any("Every distorted image has a clean version" in x for x in inputs.notes)


@pytest.mark.parametrize("role", ["test", "validation"])
def test_measured_images_are_left_out_without_pairs_too(read, subset, folders, role):
    fourth = subset("fourth", 4)
    inputs = read(clean=folders / "clean_test", **{role: fourth})
    assert not inputs.images["paired"]
    drawn = _paths(inputs.images["distorted"][0], folders / "blurred")
    tested = _paths(inputs.images["distorted_test"][0], folders / "blurred")
    chosen_by = _paths((inputs.images["validation"] or [[]])[0], folders / "blurred")
    assert sorted({*drawn, *tested, *chosen_by}) == sorted(_paths_of(folders / "blurred"))
    assert len(drawn) + len(tested) + len(chosen_by) == 200
    assert len(drawn) == (150 if role == "test" else 120)
    assert any(
        f"50 of 200 distorted images were left out, as {role} images" in x for x in inputs.notes
    )


def test_a_test_image_is_not_chosen_by(read, subset, folders):
    inputs = read(test=subset("fourth", 4), validation=subset("sixth", 6))
    chosen_by = _paths(inputs.images["validation"][0], folders / "blurred")
    assert sorted(chosen_by) == sorted(
        set(_paths_of(subset("sixth", 6))) - set(_paths_of(subset("fourth", 4)))
    )
    with pytest.raises(ValueError, match=r"up to 133, .* of which 67 are test or validation"):
        read(test=subset("fourth", 4), validation=subset("sixth", 6), labels=134)
    assert any("17 of 34 validation images were left out, as test" in x for x in inputs.notes)


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("roles", [("test",), ("validation",), ("test", "validation")])
def test_all_images_measured_on_leave_none_to_draw(read, subset, folders, roles, complete):
    clean = folders / ("clean" if complete else "clean_test")
    with pytest.raises(ValueError, match=r"Received: all 200 of .* are in .*all"):
        read(clean=clean, **dict.fromkeys(roles, subset("all", 1)))


@makes_links
def test_links_to_the_files_that_are_tested_are_left_out(read, folders, tmp_path):
    for file in sorted((folders / "blurred").rglob("*.png"))[:30]:
        target = tmp_path / "links" / file.parent.name / f"linked{file.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(file)
    for number in range(10):
        (tmp_path / "links" / str(number)).mkdir(exist_ok=True)
    inputs = read(test=tmp_path / "links")
    drawn = _paths(inputs.images["distorted"][0], folders / "blurred")
    tested = _paths(inputs.images["distorted_test"][0], folders / "blurred")
    assert (len(tested), len(drawn)) == (30, 170)
    assert not set(tested) & set(drawn)


@makes_links
def test_unlabelled_images_that_are_tested_are_left_out(read, folders, tmp_path):
    (tmp_path / "flat").mkdir()
    for folder in ("test", "clean_test"):
        for file in (folders / folder).rglob("*.png"):
            (tmp_path / "flat" / f"{folder}{file.name}").symlink_to(file)
    inputs = read(distorted=tmp_path / "flat", test=folders / "test")
    assert len(inputs.images["distorted"]) == 100
    assert not _paths(inputs.images["distorted"], folders / "test")
    assert any("100 of 200 distorted images were left out" in x for x in inputs.notes)


def test_only_tested_images_without_a_clean_version_leave_pairs(read, folders, tmp_path):
    tested = _paths(read().images["distorted_test"][0], folders / "blurred")
    shutil.copytree(folders / "clean", tmp_path / "clean")
    for path in tested[:3]:
        (tmp_path / "clean" / f"{path}.png").unlink()
    inputs = read(clean=tmp_path / "clean")
    assert inputs.images["paired"]
    assert len(inputs.images["clean"][0]) == 160
    assert len(inputs.images["clean_test"][0]) == 37
    assert not any("Every distorted" in x for x in inputs.notes)
    assert any("197 of 200 distorted images have a clean version" in x for x in inputs.notes)


def test_unlabelled_images_beside_clean_ones_at_paths_of_the_test(read, folders, tmp_path):
    (tmp_path / "flat").mkdir()
    for number, file in enumerate((folders / "test").rglob("*.png")):
        shutil.copy(file, tmp_path / "flat" / f"{number}.png")
    inputs = read(distorted=tmp_path / "flat", test=folders / "blurred")
    assert inputs.images["clean"] is None


def test_clean_images_that_are_numbered_like_measured_ones_are_given(
    read, incomplete, others, folders
):
    inputs = read(clean=incomplete, test=others, validation=folders / "test")
    assert not inputs.images["paired"]
    assert len(inputs.images["clean"][0]) == 166 - 166 // 5


@pytest.mark.parametrize("complete", [True, False])
def test_clean_test_images_that_methods_were_given_measure_too_high(
    read, incomplete, others, folders, complete
):
    clean = folders / "clean" if complete else incomplete
    note = read(clean=clean, clean_test=folders / "clean").notes[-1]
    assert note == (
        "Clean accuracy was measured on 200 separate clean images; 160 of them are versions of "
        "images that methods were given, so it is somewhat too high."
    )
    for apart in (folders / "clean_test", others):
        note = read(clean=clean, clean_test=apart).notes[-1]
        assert note.startswith("Clean accuracy was measured on")
        assert note.endswith("00 separate clean images.")


def _paths_of(folder):
    return [p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.*g")]
