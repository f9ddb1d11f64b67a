"""How charts look, in the report and in the documentation."""

import matplotlib
import matplotlib.style

# Colours of Okabe and Ito, which stay apart for every kind of colour blindness,
# and greys with a contrast of at least 3:1 (marks) and 7:1 (text) on white.
BLUE = "#0072b2"
PALE_BLUE = "#99c7e0"
ORANGE = "#d55e00"
DARK_ORANGE = "#a84300"
GREY = "#8793a1"
RULE = "#dde2e8"
TEXT = "#4b5563"
INK = "#18212d"

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": RULE,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": TEXT,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 8.5,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    # Ids are hashes: with the salt of the day left out, equal figures are equal
    # bytes.
    "svg.hashsalt": "kerasft",
    # Text stays text: it can be read aloud, searched and shown in any script.
    "svg.fonttype": "none",
    "text.color": INK,
    "xtick.color": RULE,
    "xtick.labelcolor": TEXT,
    "xtick.major.size": 0,
    "ytick.color": RULE,
    "ytick.labelcolor": TEXT,
    "ytick.major.size": 0,
}


def chart_style():
    """Context in which figures look the same whatever the user's settings."""
    return matplotlib.style.context(["default", _STYLE])
