import numbers


def is_whole(number):
    """Whether a number is an integer of Python or NumPy, and no truth value."""
    return isinstance(number, numbers.Integral) and not isinstance(number, bool)
