"""Files that are written whole or not at all, and by one process at a time."""

import contextlib
import errno
import glob
import importlib
import os
import pathlib
import re
import shutil
import tempfile

# Elsewhere two processes at one file are not noticed.
_fcntl = importlib.import_module("fcntl") if os.name == "posix" else None

# A disk, a quota or a limit of the process.
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


@contextlib.contextmanager
def room_in(place):
    """Say where there is no room for what the block writes; the system's error does not.

    Args:
        place: The folder that the block writes to.

    Raises:
        OSError: There is none.
    """
    try:
        yield
    except OSError as error:
        # NumPy tells of elements that it could not write, without the reason.
        if error.errno not in _FULL and not re.search(r"requested and \d+ written", str(error)):
            raise
        raise OSError(
            f"Expected room for the results in {place}. Received: {error.strerror or error}; "
            "what was there before is untouched."
        ) from error


def temporary_names(path):
    """How what is written beside a file or folder before it is whole is called.

    No name that anyone would give a file of their own: `locked` removes what bears it.

    Args:
        path: The file or folder, a `pathlib.Path`.

    Returns:
        Arguments of `tempfile.mkstemp` and `tempfile.mkdtemp`.
    """
    return {"dir": path.parent, "prefix": f".{path.name}.kerasft-", "suffix": ".tmp"}


def write_whole(path, content):
    """Write a file so that no half of it is ever seen.

    The content goes to a temporary file beside it, which then takes its place.

    Args:
        path: The file; an existing one is replaced.
        content: `bytes`.

    Raises:
        FileNotFoundError, NotADirectoryError: Its folder does not exist, or is
            none.
        OSError: Its folder is full.
    """
    path = pathlib.Path(path)
    try:
        descriptor, temporary = tempfile.mkstemp(**temporary_names(path))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise type(error)(
            f"Expected a folder to write {path.name} into. Received: {path.parent} "
            f"({error.strerror})."
        ) from error
    try:
        with room_in(path.parent), os.fdopen(descriptor, "wb") as file:
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
def locked(path, wait=False):
    """Keep other processes of this machine from a file while the block runs.

    Also removes what a process that was killed while it wrote left beside it.

    Args:
        path: The file or folder; need not exist. Its parent is made.
        wait: Wait for a process that holds the lock.

    Raises:
        ValueError: Another process holds the lock, and `wait` is not set.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # As above: it is emptied, and removed in the end.
    lock = path.with_name(f".{path.name}.kerasft-lock")
    opened = _take_lock(lock, wait)
    if opened is None:
        raise ValueError(
            f"Expected no other process that writes {path}. Received: one that does; wait for it "
            "or write elsewhere."
        )
    with opened:
        try:
            names = temporary_names(path)
            pattern = f"{glob.escape(names['prefix'])}????????{names['suffix']}"
            for left in path.parent.glob(pattern):
                if left.is_dir() and not left.is_symlink():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink(missing_ok=True)
            yield
        finally:
            # While it is still locked, so that no other process holds it.
            lock.unlink(missing_ok=True)


def _take_lock(lock, wait):
    """The lock's open file, or `None` where another process holds it."""
    while True:
        with contextlib.ExitStack() as stack:
            opened = stack.enter_context(open(lock, "w"))
            if _has_lock(opened, lock, wait):
                stack.pop_all()
                return opened
        if not wait:
            return None


def _has_lock(opened, lock, wait):
    if _fcntl is None:
        return True
    try:
        _fcntl.flock(opened, _fcntl.LOCK_EX | (0 if wait else _fcntl.LOCK_NB))
        # Not the lock of a process that has removed it since.
        return os.path.samestat(os.stat(lock), os.fstat(opened.fileno()))
    except (BlockingIOError, FileNotFoundError):
        return False
