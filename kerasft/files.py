"""Files that are written whole or not at all."""

import os
import pathlib
import tempfile


def write_whole(path, content):
    """Write a file so that no half of it is ever seen.

    The content goes to a temporary file beside it, which then takes its place.

    Args:
        path: The file; an existing one is replaced.
        content: `bytes`.
    """
    path = pathlib.Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; give the usual permissions.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
