"""What hostile tests share: a model, a command, a look at all files, permissions that bind."""

import contextlib
import ctypes
import os
import pathlib
import sys

import keras
import pytest


def small_model(**options):
    """Gives every image the same class, so that no range of pixels looks better."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(2, "softmax", kernel_initializer="zeros", name="head"),
        ],
        **options,
    )


def robustify(box, *more):
    """The words of a command on the box."""
    return (
        "robustify", box.model, "--clean", box.clean, "--distorted", box.noisy, "--out", box.out,
        "--epochs", 1, *more,
    )  # fmt: skip


def contents(folder):
    """What is below a folder: the bytes of files, the targets of links."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = pathlib.Path(parent, name)
            if path.is_symlink():
                found[path] = os.readlink(path)
            else:
                found[path] = path.read_bytes() if path.is_file() else None
    return found


@contextlib.contextmanager
def bound_by_permissions():
    """Files without permissions cannot be read in this block, not even by root."""
    if os.name != "posix":
        pytest.skip("permissions are POSIX's")
    if os.geteuid() != 0:
        yield
        return
    if not sys.platform.startswith("linux"):
        pytest.skip("root can read everything")
    libc = ctypes.CDLL(None, use_errno=True)
    # Version 3 of the calls, this thread; effective, permitted, inheritable, twice 32 bits.
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    held = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, held) == 0
    dropped = (ctypes.c_uint32 * 6)(*held)
    # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.
    dropped[0] &= ~0b110
    if libc.capset(header, dropped) != 0:
        pytest.skip("root can read everything here")
    try:
        yield
    finally:
        assert libc.capset(header, held) == 0
