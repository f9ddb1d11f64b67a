"""An interrupt ends the command wherever it comes."""

import signal
import sys
import time

import pytest

from kerasft_cli import command


@pytest.fixture
def interrupts_raise():
    """Tests that a script runs in the background are started with SIGINT ignored."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


class Interrupted:
    """Interrupted while it is released, where Python drops what is raised."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_that_python_drops_ends_the_command(monkeypatch, capsys, interrupts_raise):
    def work(*_, **__):
        Interrupted()
        until = time.monotonic() + 60
        while time.monotonic() < until:
            time.sleep(0.1)

    hook = sys.unraisablehook
    monkeypatch.setattr(command.cli, "main", work)
    with pytest.raises(SystemExit) as ended:
        command.main([])
    assert ended.value.code == 130
    assert capsys.readouterr().err == "Interrupted; no file was left half-written.\n"
    assert sys.unraisablehook is hook


def test_other_dropped_errors_are_told_as_ever(monkeypatch):
    class Failing:
        def __del__(self):
            raise ValueError("while released")

    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_value))
    monkeypatch.setattr(command.cli, "main", lambda *_, **__: Failing() and 0)
    with pytest.raises(SystemExit) as ended:
        command.main([])
    assert ended.value.code == 0
    assert [str(error) for error in told] == ["while released"]
