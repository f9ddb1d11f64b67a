"""The page on errors quotes what the program prints."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
# Of each row of a table the first cell, which is in backquotes.
QUOTES = re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE)


def _as_in_a_message(text):
    """Text of a source file in which each message stands on one line, values as `…`."""
    joined = re.sub(r'"\s*f?r?"', "", text)
    return re.sub(r"\{[^{}]*\}", "…", joined)


SOURCES = "\n".join(
    _as_in_a_message(file.read_text(encoding="utf-8"))
    for package in ("kerasft", "kerasft_cli")
    for file in sorted((ROOT / package).rglob("*.py"))
)


@pytest.mark.parametrize("quote", QUOTES)
def test_the_program_says_what_is_quoted(quote):
    parts = [part.strip() for part in quote.split("…") if part.strip()]
    pattern = r"[^\n]{0,60}?".join(re.escape(part) for part in parts)
    assert re.search(pattern, SOURCES), quote


def test_a_quote_that_the_program_does_not_say_would_be_noticed():
    assert not re.search(re.escape("Expected a model of cats."), SOURCES)
    assert len(QUOTES) >= 25
    # Every row of the tables has its quote.
    rows = [
        line for line in PAGE.splitlines() if line.startswith("| ") and "What to do" not in line
    ]
    assert len(rows) == len(QUOTES)
