from matplotlib.ticker import Formatter


class PercentTicks(Formatter):
    """Shares as percentages, with as many decimals as the ticks of the axis need.

    Example:

    >>> from kerasft.report.percent_ticks import PercentTicks
    >>> PercentTicks().format_ticks([0.7, 0.725, 0.75])
    ['70.0%', '72.5%', '75.0%']
    """

    def format_ticks(self, values):
        """Text of each tick."""
        percents = [100 * value for value in values]
        decimals = next(
            (n for n in range(4) if all(abs(p - round(p, n)) < 1e-6 for p in percents)), 4
        )
        return [f"{percent:.{decimals}f}%" for percent in percents]

    def __call__(self, value, pos=None):
        """Text of a single value, as Matplotlib asks for it."""
        return self.format_ticks([value])[0]
