import contextlib
import os
import pathlib
import shutil
import tempfile


def check_output_folder(path, force):
    """Refuse an output folder before any work starts.

    Args:
        path: The folder.
        force: Whether an existing one may be written into.

    Raises:
        ValueError: It exists and `force` is not set, is a file, or its place
            cannot be written to.
    """
    path = pathlib.Path(path)
    if path.is_dir() and not force:
        raise ValueError(
            f"Expected an output folder that does not exist yet. Received: {path}; "
            "give --force to write into it."
        )
    if path.exists() and not path.is_dir():
        raise ValueError(f"Expected an output folder. Received: {path}, which is a file.")
    place = path if path.exists() else _existing_parent(path)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise ValueError(f"Expected a place that can be written to. Received: {place}.")


@contextlib.contextmanager
def output_folder(path, force):
    """Write the files of a result all together or not at all.

    Gives a temporary folder beside the output folder; when the block ends
    well it takes the output folder's place, and when it fails or is
    interrupted it is removed. An existing output folder keeps its other files.

    Args:
        path: The output folder.
        force: Whether an existing one may be written into.

    Yields:
        `pathlib.Path` of the folder to write into.
    """
    check_output_folder(path, force)
    path = pathlib.Path(path)
    staging = pathlib.Path(tempfile.mkdtemp(dir=_existing_parent(path), prefix=f".{path.name}."))
    try:
        yield staging
        # mkdtemp makes folders private; give the usual permissions.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(staging, 0o777 & ~umask)
        path.parent.mkdir(parents=True, exist_ok=True)
        check_output_folder(path, force)
        if path.exists():
            for file in staging.iterdir():
                os.replace(file, path / file.name)
            staging.rmdir()
        else:
            os.rename(staging, path)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _existing_parent(path):
    return next(parent for parent in path.absolute().parents if parent.exists())
