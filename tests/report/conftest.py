import dataclasses
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from kerasft.report import Report


def layer_ranking(filters, pairs=100, borda=True, scale=1.0, criterion=None):
    """What a `LayerRanking` looks like from outside; filter `filters - 1` leads."""
    mean = scale * np.arange(filters, dtype="float64")
    order = np.argsort(-mean, kind="stable")
    counts = np.zeros(filters, "int64")
    for place, index in enumerate(order[:10]):
        counts[index] = int(scale * pairs * (10 - place))
    layer = SimpleNamespace(
        order=order, borda_counts=counts if borda else None, mean_distance=mean, pairs=pairs
    )
    # May be missing.
    if criterion is not None:
        layer.criterion = criterion
    return layer


@pytest.fixture
def make_layer():
    return layer_ranking


@pytest.fixture
def comparison():
    return pd.DataFrame(
        {
            "method": ["none", "most", "random"],
            "labelled_images": [0, 500, 500],
            "trained_parameters": [0, 1992, 1992],
            "distorted_accuracy": [0.317, 0.654, 0.612],
            "distorted_low": [0.29, 0.64, np.nan],
            "distorted_high": [0.345, 0.668, np.nan],
            "clean_accuracy": [0.88, 0.861, 0.866],
            "seeds": [1, 3, 3],
        }
    )


@pytest.fixture
def make_report(comparison):
    """A function that makes a valid report with some fields replaced."""
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 256, (3, 8, 8, 3)).astype("uint8")
    fields = {
        "title": "resnet8.h5 on noise",
        "model_name": "resnet8.h5",
        "distortion": "white noise",
        "accuracy": pd.DataFrame(
            {
                "images": ["distorted test images", "clean test images"],
                "count": [1000, 1000],
                "before": [0.317, 0.880],
                "after": [0.654, 0.861],
            }
        ),
        "trained_parameters": 1992,
        "total_parameters": 78666,
        "ranking": {"conv1": layer_ranking(16), "conv2": layer_ranking(40)},
        "selection": {"conv1": [15, 14, 13, 12]},
        "clean_samples": clean,
        "distorted_samples": 255 - clean,
        "sample_labels": ["cat", "dog", "frog"],
        "history": {
            "loss": [1.0, 0.8, 0.7],
            "accuracy": [0.5, 0.6, 0.7],
            "val_loss": [1.1, 0.9, 0.85],
            "val_accuracy": [0.45, 0.55, 0.6],
            "learning_rate": [1e-3, 1e-3, 1e-3],
        },
        "per_class": pd.DataFrame(
            {
                "class": ["cat", "dog", "frog"],
                "count": [400, 300, 300],
                "before": [0.3, 0.5, 0.2],
                "after": [0.6, 0.45, 0.2],
            }
        ),
        "comparison": comparison,
        "notes": ["Accuracy was measured on 1,000 test images."],
        "facts": {"command": "kerasft robustify resnet8.h5", "seed": "0"},
    }
    return lambda **changes: Report(**(fields | changes))


@dataclasses.dataclass
class Page:
    tags: list  # (name, attributes), in order
    text: str
    title: str


class PageReader(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.page = Page([], "", "")
        self.inside = ""

    def handle_starttag(self, tag, attributes):
        self.page.tags.append((tag, dict(attributes)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "title":
            self.page.title += data
        elif self.inside != "style":
            self.page.text += data + " "


@pytest.fixture
def read_page():
    """A function that parses a page into its tags, its text and its title."""

    def read(html):
        reader = PageReader()
        reader.feed(html)
        reader.close()
        reader.page.text = " ".join(reader.page.text.split())
        return reader.page

    return read
