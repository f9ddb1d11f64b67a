import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from kerasft.report import comparison_chart_png, comparison_figure
from kerasft.report.charts import ranking_figure
from kerasft.report.percent_ticks import PercentTicks


def texts_of(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_bars_are_sorted_and_selected_ones_are_coloured(make_layer):
    layer = make_layer(6)
    (axes,) = ranking_figure(layer, selected=[5, 2]).axes
    bars = {}
    for patch in axes.patches:
        for (place, bottom), (_, top) in patch.get_path().vertices.reshape(-1, 2, 2):
            assert bottom == 0
            bars[int(place)] = (top, patch.get_edgecolor())
    heights = [bars[place][0] for place in range(1, 7)]
    assert heights == sorted(layer.borda_counts, reverse=True)
    labels = [int(label.get_text()) for label in axes.get_xticklabels()]
    assert labels == layer.order.tolist()
    colours = [bars[labels.index(index) + 1][1] for index in range(6)]
    assert colours[5] == colours[2]
    assert len({colours[index] for index in (0, 1, 3, 4)} - {colours[2]}) == 1


@pytest.mark.parametrize("shift", [-2, -9])
def test_bars_below_zero_are_inside_the_picture(make_layer, shift):
    layer = make_layer(6, borda=False, criterion="correction")
    layer.mean_distance += shift
    (axes,) = ranking_figure(layer).axes
    low, high = axes.get_ylim()
    assert low < layer.mean_distance.min()
    assert high >= max(0, layer.mean_distance.max())
    assert axes.get_title(loc="left") == "score by correction"


def test_comparison_figure_names_methods_and_baseline(comparison):
    figure = comparison_figure(comparison)
    assert isinstance(figure, Figure)
    assert texts_of(figure) == [
        "before fine-tuning 31.7%",
        "most",
        "65.4%",
        "random",
        "61.2%",
    ]


def test_comparison_without_baseline_or_without_rivals(comparison):
    assert "before" not in " ".join(texts_of(comparison_figure(comparison.iloc[1:])))
    figure = comparison_figure(comparison.iloc[:1])
    assert texts_of(figure) == ["before fine-tuning 31.7%"]
    figure.savefig(io.BytesIO(), format="png")


def test_worse_than_before_is_drawn_too(comparison):
    figure = comparison_figure(
        comparison.assign(distorted_accuracy=[1.0, 0.0, 0.5], distorted_low=0.0, distorted_high=1.0)
    )
    figure.savefig(io.BytesIO(), format="png")


@pytest.mark.parametrize(("channels", "number"), [(1, 1), (3, 4), (4, 8)])
def test_chart_png_is_a_picture(comparison, channels, number):
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 256, (number, 8, 8, channels)).astype("uint8")
    data = comparison_chart_png(comparison, clean, 255 - clean)
    picture = Image.open(io.BytesIO(data))
    picture.load()
    assert picture.format == "PNG"
    assert picture.width == 1800
    assert data == comparison_chart_png(comparison, clean, 255 - clean)


def test_hostile_method_names_are_literal_in_the_png(comparison):
    images = np.zeros((1, 4, 4, 1), "uint8")
    # Read as mathematics, this name would be an error.
    named = comparison.assign(method=["none", "$\\frac{$", "x" * 500])
    assert comparison_chart_png(named, images, images).startswith(b"\x89PNG")


def test_labels_stay_inside_the_picture(comparison):
    full = comparison.assign(distorted_accuracy=1.0, distorted_low=0.99, distorted_high=1.0)
    figure = comparison_figure(full)
    figure.savefig(io.BytesIO(), format="png")
    for axes in figure.axes:
        for text in axes.texts:
            box = text.get_window_extent()
            assert box.x0 >= 0, text.get_text()
            assert box.x1 <= figure.bbox.width, text.get_text()
            assert box.y0 >= 0, text.get_text()
            assert box.y1 <= figure.bbox.height, text.get_text()


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.6, 0.8, 1.0], ["60%", "80%", "100%"]),
        ([0.7, 0.725, 0.75], ["70.0%", "72.5%", "75.0%"]),
        ([0.9985, 0.999, 0.9995, 1.0], ["99.85%", "99.90%", "99.95%", "100.00%"]),
        ([0.1 + 0.2, 0.4], ["30%", "40%"]),
        ([], []),
    ],
)
def test_neighbouring_ticks_have_different_texts(values, texts):
    assert PercentTicks().format_ticks(values) == texts
