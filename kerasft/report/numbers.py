"""Numbers as a reader wants them."""

from kerasft.statistics import proportion_interval


def percent(fraction):
    """`0.317` as `"31.7%"`."""
    return f"{fraction:.1%}"


def whole(number):
    """`78666` as `"78,666"`."""
    return f"{int(number):,}"


def share(part, whole):
    """`(1, 4)` as `"25.0%"`, and what would round to nothing in words."""
    if 0 < part < 0.001 * whole:
        return "less than 0.1%"
    return percent(part / whole)


def direction(before, after):
    """`"up"`, `"down"` or `"level"`, as far as shown numbers tell."""
    points = _points(before, after)
    return "up" if points > 0 else "down" if points < 0 else "level"


def change(before, after):
    """The change from one fraction to another, in points with a sign."""
    return f"{_points(before, after):+.1f}".replace("-", "−").replace("+0.0", "±0.0")


def moved(before, after):
    """What became of a fraction: `"rose from 31.7% to 74.7%"`."""
    way = direction(before, after)
    if way == "level":
        return f"stayed at {percent(after)}"
    verb = "rose" if way == "up" else "fell"
    return f"{verb} from {percent(before)} to {percent(after)}"


def wilson(fraction, count):
    """95% Wilson interval `(low, high)` of `fraction` of `count` images."""
    return proportion_interval(round(fraction * count), count)


def _points(before, after):
    # The difference of the numbers as shown, so that a reader's sum comes out.
    # Adding 0 turns a negative zero into a positive one.
    return round(float(f"{100 * after:.1f}") - float(f"{100 * before:.1f}"), 1) + 0.0
