import contextlib
import os
import pathlib
import shutil
import tempfile

from kerasft.files import locked, room_in, temporary_names

# Of 255 bytes that a file system allows; the rest is for the temporary folder beside it.
_LONGEST_NAME = 230


def check_output_folder(path, force, names=()):
    """Refuse an output folder before any work starts.

    Args:
        path: The folder.
        force: Whether an existing one may be written into.
        names: What the files to be written into it are called.

    Raises:
        ValueError: It exists and `force` is not set, is a file or a broken
            link, its name is too long, its place cannot be written to, or a
            folder has the name of a file to write.
    """
    path = pathlib.Path(path)
    longest = max((len(os.fsencode(part)) for part in path.parts), default=0)
    if longest > _LONGEST_NAME:
        raise ValueError(
            f"Expected an output folder with a name of at most {_LONGEST_NAME} bytes. "
            f"Received: one of {longest}."
        )
    if path.is_dir() and not force:
        raise ValueError(
            f"Expected an output folder that does not exist yet. Received: {path}; "
            "give --force to write into it."
        )
    if path.exists() and not path.is_dir():
        raise ValueError(f"Expected an output folder. Received: {path}, which is a file.")
    if path.is_symlink() and not path.exists():
        raise ValueError(f"Expected an output folder. Received: {path}, a link that leads nowhere.")
    place = _place(path)
    effective = os.access in os.supports_effective_ids
    writable = os.access(place, os.W_OK | os.X_OK, effective_ids=effective)
    if not place.is_dir() or not writable:
        raise ValueError(f"Expected a place that can be written to. Received: {place}.")
    for name in names:
        target = path / name
        # A link to a folder is replaced as any file is.
        if target.is_dir() and not target.is_symlink():
            raise ValueError(
                f"Expected files to replace in {path}. Received: {name}, which is a folder; "
                "nothing was written."
            )


@contextlib.contextmanager
def output_folder(path, force):
    """Write the files of a result all together or not at all.

    Gives a temporary folder beside the output folder, or in it where it exists;
    when the block ends well it takes the output folder's place, and when it
    fails or is interrupted it is removed. An existing output folder keeps its
    other files, and is left as it is where a folder has the name of a file to
    write. A second process waits until the first has written.

    Args:
        path: The output folder.
        force: Whether an existing one may be written into.

    Yields:
        `pathlib.Path` of the folder to write into.

    Raises:
        ValueError: As `check_output_folder`, or a folder in the place of a file.
        OSError: The place is full, or cannot be written to.
    """
    check_output_folder(path, force)
    path = pathlib.Path(path).absolute()
    while True:
        place = _place(path)
        with locked(place / path.name, wait=True):
            # Another process may have made the folder in the meantime.
            if place == _place(path):
                with room_in(place):
                    yield from _staged(path, place, force)
                return


def written_files(staging, out):
    """Paths that the files of a block of `output_folder` have when it ends.

    Args:
        staging: What `output_folder` gave.
        out: The output folder.

    Returns:
        List of `pathlib.Path`, sorted.
    """
    return [pathlib.Path(out, file.name) for file in sorted(staging.iterdir())]


def _staged(path, place, force):
    staging = pathlib.Path(tempfile.mkdtemp(**temporary_names(place / path.name)))
    try:
        yield staging
        # mkdtemp makes folders private; give the usual permissions.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(staging, 0o777 & ~umask)
        path.parent.mkdir(parents=True, exist_ok=True)
        files = sorted(staging.iterdir())
        # All of them before the first is replaced.
        check_output_folder(path, force, [file.name for file in files])
        if path.exists():
            for file in files:
                os.replace(file, path / file.name)
            staging.rmdir()
        else:
            os.rename(staging, path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _place(path):
    """Where to write before all is complete.

    In an existing folder itself: that may be another file system than its
    parent, which may not be writable either.
    """
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())
