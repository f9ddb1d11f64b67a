import os
import pathlib
import threading

# Seconds between two looks; shorter peaks may be missed.
_INTERVAL = 0.005


class PeakMemory:
    """The most memory that this process holds while a block runs, beyond what it held before.

    What is measured is the resident memory of the whole process, of other
    threads too, and nothing that lives on an accelerator. Memory that earlier
    work has freed but not given back does not count when it is used again, so
    the figure is rough, and low rather than high.

    Attributes:
        mib: The figure in MiB, once the block has ended; NaN where the system
            does not tell it (elsewhere than on Linux).
    """

    def __init__(self):
        self.mib = float("nan")

    def __enter__(self):
        self._stop = threading.Event()
        self._before = self._peak = _resident()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._watcher.join()
        self._look()
        self.mib = (self._peak - self._before) / 2**20

    def _watch(self):
        while not self._stop.wait(_INTERVAL):
            self._look()

    def _look(self):
        self._peak = max(self._peak, _resident())


def _resident():
    try:
        pages = int(pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return float("nan")
    return pages * os.sysconf("SC_PAGE_SIZE")
