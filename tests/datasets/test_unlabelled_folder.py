import pytest

from kerasft.datasets.unlabelled_folder import list_unlabelled_folder


def test_image_files_that_lie_directly_in_a_folder_are_listed(tmp_path):
    for name in ("b.JPG", "a.png", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / ".thumbnails").mkdir()
    assert list_unlabelled_folder(tmp_path) == ["a.png", "b.JPG"]
    (tmp_path / "cat").mkdir()
    assert list_unlabelled_folder(tmp_path) == []


@pytest.mark.parametrize("name", ["missing", "file.png"])
def test_what_is_no_folder_has_none(tmp_path, name):
    (tmp_path / "file.png").touch()
    assert list_unlabelled_folder(tmp_path / name) == []
