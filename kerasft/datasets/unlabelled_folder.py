import pathlib

from kerasft.datasets.image_folder import IMAGE_SUFFIXES


def list_unlabelled_folder(folder):
    """List the image files of a folder without class subfolders.

    Args:
        folder: Path of the folder.

    Returns:
        Sorted list of the names of the image files that lie directly in it;
        empty where it has subfolders, and where there is no such folder.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        return []
    held = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if any(path.is_dir() for path in held):
        return []
    return sorted(path.name for path in held if path.suffix.lower() in IMAGE_SUFFIXES)
