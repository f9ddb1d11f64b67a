"""The command, run in this process."""

import pytest

from kerasft_cli.command import main


@pytest.fixture
def kerasft(capsys):
    """Run the command; gives its status, output and error output."""

    def run(*arguments):
        with pytest.raises(SystemExit) as exit_:
            main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return exit_.value.code, captured.out, captured.err

    return run
