import numbers


def is_real(number):
    """Whether a number is a real one of Python or NumPy, and no truth value."""
    return isinstance(number, numbers.Real) and not isinstance(number, bool)
