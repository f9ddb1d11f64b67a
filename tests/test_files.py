import os
import stat

import pytest
from full_disk import no_file_over

from kerasft.files import locked, write_whole

posix = pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")


@pytest.mark.parametrize("content", [b"", b"new", bytes(range(256)) * 4096])
@pytest.mark.parametrize("before", [None, b"a longer old content"])
def test_content_is_written_whole(tmp_path, content, before):
    path = tmp_path / "file.json"
    if before is not None:
        path.write_bytes(before)
    write_whole(path, content)
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["file.json"]


@pytest.mark.parametrize("step", ["os.fsync", "os.chmod", "os.replace"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("before", [None, b"old"])
def test_interrupted_write_leaves_what_was_there(tmp_path, monkeypatch, step, error, before):
    path = tmp_path / "file.json"
    if before is not None:
        path.write_bytes(before)

    def fail(*arguments):
        raise error

    monkeypatch.setattr(step, fail)
    with pytest.raises(error):
        write_whole(path, b"new")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [before][: before is not None]


def test_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "file.json"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_whole(path, "text")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


@posix
def test_a_full_disk_is_told_with_its_place(tmp_path):
    path = tmp_path / "file.json"
    path.write_bytes(b"old")
    with no_file_over(1000), pytest.raises(OSError, match=r"^Expected room for the") as told:
        write_whole(path, b"new" * 1000)
    assert str(tmp_path) in str(told.value)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_folder_is_not_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_whole(tmp_path / "folder", b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


def test_missing_folder_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    for name, error in {"missing": FileNotFoundError, "file": NotADirectoryError}.items():
        with pytest.raises(error, match=rf"^Expected .*x\.json into\. Received: \S*{name} \("):
            write_whole(tmp_path / name / "x.json", b"new")


@posix
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_are_the_usual_ones(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "file.json", b"new")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file.json").stat().st_mode) == mode


def test_only_what_a_killed_process_left_is_removed(tmp_path):
    kept = {
        ".out.lock",
        ".out.csv.kerasft-lock",
        ".out.20260101",
        ".out.metadata",
        ".out.kerasft-0123.tmp",
    }
    for name in (*kept, ".out.kerasft-ab12cd_9.tmp"):
        (tmp_path / name).write_text("precious")
    with locked(tmp_path / "out"):
        pass
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == dict.fromkeys(
        kept, "precious"
    )


def test_what_a_process_leaves_when_it_is_killed_is_removed_by_the_next(tmp_path, monkeypatch):
    for step in ("os.replace", "os.unlink"):
        monkeypatch.setattr(step, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "out", b"new")
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 1
    with locked(tmp_path / "out"):
        assert [file.name for file in tmp_path.iterdir()] == [".out.kerasft-lock"]
