"""Interrupts that reach the command wherever it is."""

import _thread
import contextlib
import sys
import threading

_DELAY = 0.1  # Seconds: what dropped the interrupt has ended, and nobody waited long.


@contextlib.contextmanager
def dropped_interrupts_again():
    """Inside, an interrupt that Python drops is raised once more.

    Python raises `KeyboardInterrupt` in whatever the main thread is doing. What is raised
    while an object is released (`__del__`, callbacks of weak references) is dropped, and
    training releases objects all the time: the command would go on as if nobody had asked.
    """
    previous = sys.unraisablehook

    def hook(unraisable):
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            previous(unraisable)
            return
        # Not at once: what is raised in here is dropped as well.
        again = threading.Timer(_DELAY, _thread.interrupt_main)
        again.daemon = True  # Nothing is left to interrupt once the command has ended.
        again.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = previous
