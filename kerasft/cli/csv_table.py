"""Tables with names of others: of layers in a model, of class folders."""

# What makes a spreadsheet take a text for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_table(frame):
    """A table as CSV in which no name is a formula.

    Spreadsheets run `=HYPERLINK(…)` when they open a file. An apostrophe
    before it makes it a text, there and here; numbers stay as they are.

    Args:
        frame: `pandas.DataFrame`.

    Returns:
        `bytes`.
    """
    return frame.map(_harmless).to_csv(index=False).encode()


def _harmless(value):
    if not isinstance(value, str) or not value.startswith(_FORMULA) or _is_number(value):
        return value
    return f"'{value}"


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
