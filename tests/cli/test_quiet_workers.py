"""What worker processes write to standard error stays off the terminal."""

import subprocess
import sys

PROGRAM = """
import os, subprocess, sys
from kerasft_cli.quiet_start import quiet_workers

chatter = [sys.executable, "-c", "import sys; print('chatter', file=sys.stderr)"]
try:
    with quiet_workers():
        subprocess.run(chatter, check=True)
        print("own message", file=sys.stderr)
        raise ValueError("told")
except ValueError as error:
    print(error, file=sys.stderr)
subprocess.run(chatter, check=True)
os.write(2, b"end")
"""


def test_own_messages_are_shown_and_those_of_workers_are_not():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0
    # Only the worker that was started afterwards is heard.
    assert done.stderr.split("\n") == ["own message", "told", "chatter", "end"]
