"""What commands do before their module is imported."""

import os
import subprocess
import sys

from kerasft_cli import running


def test_workers_may_share_an_accelerator(monkeypatch):
    names = ("XLA_PYTHON_CLIENT_PREALLOCATE", "TF_FORCE_GPU_ALLOW_GROWTH")
    for name in names:
        # Set first, so that what the command sets is taken back, too.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    started = []
    monkeypatch.setattr(
        running, "start_backend_quietly", lambda: started.append([os.environ[n] for n in names])
    )
    monkeypatch.setattr(running, "run", lambda command, **options: None)
    running.run_with_workers("compare")
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "true")
    running.run_with_workers("compare")
    # Before the backend starts; what the user says stands.
    assert started == [["false", "true"], ["true", "true"]]


def test_a_backend_that_is_not_installed_is_named():
    # None is what Python knows a module by that cannot be imported.
    code = (
        "import sys; sys.modules['jax'] = None; from kerasft_cli.command import main; "
        "main(['evaluate', 'no.keras', '--data', 'no'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert "Error: Expected the backend that KERAS_BACKEND" in done.stderr
    assert "jax" in done.stderr
