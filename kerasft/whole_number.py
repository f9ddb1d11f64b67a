"""Whole numbers of Python and NumPy."""

import numbers


def is_whole(number):
    """Whether a number is an integer of Python or NumPy, and no truth value."""
    return isinstance(number, numbers.Integral) and not isinstance(number, bool)


def validate_count(number, name):
    """Refuse what is no whole number of at least 0.

    Args:
        number: The number.
        name: What it is, for the error.

    Raises:
        ValueError: Such a number.
    """
    if not is_whole(number) or number < 0:
        raise ValueError(f"Expected {name} as a whole number of at least 0. Received: {number!r}.")
