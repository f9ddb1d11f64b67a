"""Files that are written whole or not at all, and by one process at a time."""

import contextlib
import importlib
import os
import pathlib
import tempfile

# Elsewhere two processes at one file are not noticed.
_fcntl = importlib.import_module("fcntl") if os.name == "posix" else None


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


@contextlib.contextmanager
def locked(path):
    """Keep other processes of this machine from a file while the block runs.

    Also removes what a process that was killed in `write_whole` left beside
    it.

    Args:
        path: The file; need not exist. Its folder is made.

    Raises:
        ValueError: Another process holds the lock.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with open(lock, "w") as opened:
        if _fcntl is not None:
            try:
                _fcntl.flock(opened, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
                # Not the lock of a process that has removed it since.
                if not os.path.samestat(os.stat(lock), os.fstat(opened.fileno())):
                    raise BlockingIOError
            except (BlockingIOError, FileNotFoundError):
                raise ValueError(
                    f"Expected no other process that writes {path}. Received: one that does; wait "
                    "for it or write elsewhere."
                ) from None
        try:
            for left in path.parent.glob(f".{path.name}.????????"):
                left.unlink(missing_ok=True)
            yield
        finally:
            # While it is still locked, so that no other process holds it.
            lock.unlink(missing_ok=True)
