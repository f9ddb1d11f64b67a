"""What commands do before their module is imported."""

import os

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
