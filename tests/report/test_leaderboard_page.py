import re

import numpy as np
import pandas as pd
import pytest
from test_report_escaping import HOSTILE

from kerasft.report import LeaderboardPage, tradeoff_figure
from kerasft.report.tradeoff import _spread


def leaderboard(names=("gradient recalibrated", "batch norm", "nothing")):
    count = len(names)
    accuracy = np.linspace(0.75, 0.25, count)
    return pd.DataFrame(
        {
            "method": names,
            "distorted_accuracy": accuracy,
            "distorted_accuracy_low": accuracy - 0.02,
            "distorted_accuracy_high": accuracy + 0.02,
            "clean_accuracy": accuracy + 0.1,
            "clean_accuracy_low": accuracy + 0.09,
            "clean_accuracy_high": accuracy + 0.11,
            "validation_accuracy": accuracy,
            "labels_needed": [500] + [0] * (count - 1),
            "trained_parameters": [1992] + [0] * (count - 1),
            "added_parameters": 0,
            "trained_share": [0.0253] + [0.0] * (count - 1),
            "layers_share": [0.25] + [0.0] * (count - 1),
            "epochs": 12.5,
            "seconds": 3.14159,
            "peak_memory_mib": 57.8,
            "seeds": 3,
        }
    )


def make_page(**changes):
    fields = {
        "title": "resnet8.h5 on noise",
        "model_name": "resnet8.h5",
        "distortion": "noise",
        "recommendation": "Use “gradient recalibrated”: it is the best.",
        "leaderboard": leaderboard(),
        "best": "gradient recalibrated",
        "left_out": {"tent": "The model has no scale.", "lora": "No convolutions."},
        "notes": ["A fifth was held out."],
        "facts": {"Command": "kerasft compare", "Date": "2030-01-02"},
    }
    return LeaderboardPage(**(fields | changes))


def test_every_number_and_sentence_is_on_the_page(read_page):
    text = read_page(make_page().render()).text
    for shown in (
        "75.0% 73.0–77.0", "85.0% 84.0–86.0", "500", "1,992", "2.5% of the model", "3.1",
        "57 MiB", "3 seeds · recommended", "Use “gradient recalibrated”: it is the best.",
        "The model has no scale.", "No convolutions.", "A fifth was held out.", "2030-01-02",
    ):  # fmt: skip
        assert shown in text


def test_without_intervals_memory_and_clean_accuracy(read_page):
    missing = ["distorted_accuracy_low", "distorted_accuracy_high", "clean_accuracy",
               "clean_accuracy_low", "clean_accuracy_high", "peak_memory_mib"]  # fmt: skip
    text = read_page(
        make_page(leaderboard=leaderboard().assign(**dict.fromkeys(missing, np.nan))).render()
    ).text
    assert "nan" not in text
    assert "75.0%" in text
    assert "MiB" not in text
    assert "interval" not in text


def test_no_method_at_all(read_page):
    page = read_page(make_page(leaderboard=leaderboard().iloc[:0], best=None).render())
    assert "No method could be used" in page.text
    assert "svg" not in {tag for tag, _ in page.tags}
    assert "The model has no scale." in page.text


def hostile(name):
    return make_page(
        title=name,
        model_name=name,
        distortion=name,
        recommendation=name,
        leaderboard=leaderboard((name, "other", "nothing")),
        best=name,
        left_out={f"{name} out": name},
        notes=[name],
        facts={name: name},
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_shown_literally(read_page, name):
    page = read_page(hostile(name).render())
    assert page.title == name
    # Heading, best, recommendation, model, distortion, table, chart, left out and why, note,
    # fact and its name.
    assert page.text.count(" ".join(name.split())) >= 12
    for tag, attributes in page.tags:
        assert tag != "script"
        assert not [key for key in attributes if key.startswith("on")]


def test_nothing_is_loaded_from_elsewhere(read_page):
    html = hostile(" ".join(HOSTILE)).render()
    for tag, attributes in read_page(html).tags:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form", "a", "img"}
        for key in ("src", "href", "xlink:href", "srcset", "poster", "action"):
            assert attributes.get(key, "#").startswith("#")
    assert not re.findall(r"url\((?!#)|@import", html)
    assert html.count("http") == 1  # http-equiv
    assert "default-src 'none'" in html


@pytest.mark.parametrize("name", ["قطة", "🐈", "n" * 5000, "a\x00b", "caf\udce9", ""])
def test_names_of_any_script_and_length_survive(name):
    html = hostile(name).render()
    html.encode("utf-8")
    assert "</html>" in html


def test_the_chart_names_every_method_once_and_says_where_it_is(read_page):
    page = read_page(make_page().render())
    (label,) = [a["aria-label"] for tag, a in page.tags if tag == "svg"]
    assert "gradient recalibrated 75.0% with 1,992, batch norm 50.0% with 0" in label


def test_points_stand_at_their_parameters_and_those_of_none_at_the_left():
    figure = tradeoff_figure(leaderboard(), "batch norm")
    (axes,) = figure.axes
    points = {
        tuple(np.ravel(line.get_xydata())): line for line in axes.lines if line.get_marker() == "o"
    }
    by_accuracy = sorted(points, key=lambda point: -point[1])
    np.testing.assert_allclose([y for _, y in by_accuracy], [0.75, 0.5, 0.25])
    places = [x for x, _ in by_accuracy]
    assert places[0] == 1992
    assert places[1] == places[2] == 100
    figure.draw_without_rendering()
    labels = [tick.get_text() for tick in axes.get_xticklabels()]
    assert labels[0] == "0"
    assert "1k" in labels
    # Hollow where no labels are needed.
    faces = [points[point].get_markerfacecolor() for point in by_accuracy]
    assert [face == "white" for face in faces] == [False, True, True]


def test_nothing_trained_at_all_has_a_chart_too():
    board = leaderboard().assign(trained_parameters=0)
    tradeoff_figure(board).draw_without_rendering()


@pytest.mark.parametrize("count", [1, 2, 19])
def test_names_do_not_overlap_and_keep_their_order(count):
    heights = np.random.default_rng(0).uniform(0.9, 1, count)
    gap = 1 / count
    places = _spread(heights, gap)
    ordered = places[np.argsort(-heights)]
    assert (-np.diff(ordered) >= gap - 1e-9).all()
    assert places.min() >= -1e-9
    assert places.max() <= 1 + 1e-9
    apart = np.linspace(0, 1, count)
    np.testing.assert_allclose(_spread(apart, 1 / (count + 1)), apart)
