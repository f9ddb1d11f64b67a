import numpy as np
import pandas as pd
import pytest

from kerasft.report import render_report


def charts_of(page):
    return [attributes["aria-label"] for tag, attributes in page.tags if tag == "svg"]


def test_headline_says_what_was_gained(make_report, read_page):
    page = read_page(render_report(make_report()))
    assert "Accuracy on distorted test images rose from 31.7% to 65.4%." in page.text
    assert "On clean test images it fell from 88.0% to 86.1%." in page.text
    assert "2.5% of the model’s parameters, 1,992 of 78,666" in page.text
    assert page.title == "resnet8.h5 on noise"


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (0.5, 0.4, "fell from 50.0% to 40.0%"),
        (0.5, 0.5001, "stayed at 50.0%"),
        (0.0, 1.0, "rose from 0.0% to 100.0%"),
    ],
)
def test_headline_is_honest(make_report, read_page, before, after, sentence):
    table = pd.DataFrame(
        {
            "images": ["distorted validation images"],
            "count": [50],
            "before": [before],
            "after": [after],
        }
    )
    page = read_page(render_report(make_report(accuracy=table)))
    assert f"Accuracy on distorted validation images {sentence}." in page.text
    assert "clean" not in page.text.split("Before and after")[0]


def test_accuracy_has_wilson_intervals(make_report, read_page):
    page = read_page(render_report(make_report()))
    # The closed form of the 95% Wilson interval, for 317 and 654 of 1,000.
    for share in (0.317, 0.654):
        z, n = 1.959963984540054, 1000
        middle = (share + z * z / (2 * n)) / (1 + z * z / n)
        spread = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
        spread /= 1 + z * z / n
        shown = f"{100 * (middle - spread):.1f}–{100 * (middle + spread):.1f}"
        assert shown in page.text
    assert "+33.7" in page.text
    assert "−1.9" in page.text


@pytest.mark.parametrize(
    ("trained", "total", "shown"),
    [(1, 10**7, "less than 0.1%"), (0, 10, "0.0%"), (10, 10, "100.0%")],
)
def test_share_of_parameters(make_report, read_page, trained, total, shown):
    report = make_report(trained_parameters=trained, total_parameters=total)
    text = read_page(render_report(report)).text
    assert f"Trained: {shown} of the model’s parameters" in text


def test_every_part_has_its_chart(make_report, read_page):
    labels = charts_of(read_page(render_report(make_report())))
    assert [label.split(",")[0].split(".")[0] for label in labels] == [
        "Bar chart: accuracy on distorted images",
        "Bar chart: Borda count of the 16 filters of layer conv1",
        "Bar chart: Borda count of the 40 filters of layer conv2",
        "Line chart: loss over the epochs",
        "Line chart: accuracy over the epochs",
    ]
    assert "4 filters were fine-tuned" in labels[1]
    assert "Filter 15 is affected most" in labels[1]


def test_selected_filters_are_named_in_order_of_rank(make_report, read_page):
    report = make_report(selection={"conv1": [0, 15, 7], "conv2": range(30)})
    text = read_page(render_report(report)).text
    assert "Fine-tuned: 15, 7, 0" in text
    assert "Fine-tuned: 29, 28," in text
    assert "and 6 more" in text


def test_mean_distance_stands_in_for_missing_borda_counts(make_report, make_layer, read_page):
    ranking = {"conv1": make_layer(16, borda=False), "conv2": make_layer(4)}
    page = read_page(render_report(make_report(ranking=ranking)))
    assert "Where a layer has no Borda counts" in page.text
    assert charts_of(page)[1].startswith("Bar chart: mean EMD of the 16 filters")


def test_scores_of_another_criterion_are_called_so(make_report, make_layer, read_page):
    layer = make_layer(16, borda=False, criterion="gradient $")
    layer.mean_distance -= 5
    page = read_page(render_report(make_report(ranking={"conv1": layer})))
    label = charts_of(page)[1]
    assert label.startswith("Bar chart: score by gradient $ of the 16 filters")
    assert "Filter 15 has the highest score" in label
    assert "EMD" not in page.text
    assert "“ gradient $ ”, bars show the score" in page.text
    assert "100 images" in page.text
    assert "How the filters rank" in page.text
    assert "The criterion “ gradient $ ” gives each filter" in page.text
    # That is what distances say.
    assert "earth mover" not in page.text
    assert "distortion disturbs" not in page.text


def test_many_layers_are_drawn_up_to_twelve(make_report, make_layer, read_page):
    ranking = {f"layer_{number}": make_layer(8) for number in range(15)}
    report = make_report(ranking=ranking, selection={"layer_14": [7]}, comparison=None)
    page = read_page(render_report(report))
    drawn = [label for label in charts_of(page) if label.startswith("Bar")]
    assert len(drawn) == 12
    assert "12 of the 15 layers are drawn" in page.text
    assert "layer_14," in drawn[-1]
    listed = page.text.split("Other layers")[1]
    assert "layer_11" in listed
    assert "layer_13" in listed
    assert "layer_10" not in listed


def test_selection_without_ranking_is_listed(make_report, read_page):
    report = make_report(ranking={}, selection={"conv9": [5, 2]})
    text = read_page(render_report(report)).text
    assert "Layers fine-tuned without a ranking" in text
    assert "conv9" in text
    assert "2, 5" in text
    report = make_report(ranking={}, selection={})
    assert "No ranking of filters was made" in read_page(render_report(report)).text


@pytest.mark.parametrize("filters", [1, 2, 32, 33, 2048])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_layers_of_any_size_are_drawn(make_report, make_layer, filters, scale):
    ranking = {"conv": make_layer(filters, scale=scale)}
    for selection in ({}, {"conv": [0]}, {"conv": range(filters)}):
        report = make_report(ranking=ranking, selection=selection, history={}, comparison=None)
        page = render_report(report)
        assert ("all zero" in page) == (scale == 0)
    # A page is mailed: even the largest layer is drawn in some 100 kB.
    assert len(page) < 300_000


@pytest.mark.parametrize(
    ("history", "charts"),
    [
        ({}, 0),
        ({"loss": [], "accuracy": []}, 0),
        ({"loss": [0.5]}, 1),
        ({"loss": [0.5], "accuracy": [1.0]}, 2),
        ({"loss": [0.5, np.nan], "val_loss": [np.inf, 0.4]}, 1),
        ({"loss": [np.nan] * 3, "val_accuracy": [0.0, 0.0, 1.0]}, 2),
        ({"loss": np.linspace(1, 0, 500), "val_loss": np.ones(500)}, 1),
    ],
)
def test_training_curves_survive_any_history(make_report, read_page, history, charts):
    page = read_page(render_report(make_report(history=history)))
    assert sum(label.startswith("Line") for label in charts_of(page)) == charts
    assert ("No training history was recorded" in page.text) == (charts == 0)


def test_legend_names_only_what_is_drawn(make_report, read_page):
    page = read_page(render_report(make_report(history={"loss": [1.0, 0.5]})))
    training = page.text.split("How training went")[1].split("Class by class")[0]
    assert "train" in training
    assert "validation" not in training


def test_comparison_is_optional(make_report, read_page):
    assert "Compared with other methods" in read_page(render_report(make_report())).text
    page = read_page(render_report(make_report(comparison=None)))
    assert "Compared with other methods" not in page.text


def test_comparison_shows_intervals_where_there_are_any(make_report, read_page):
    text = read_page(render_report(make_report())).text
    assert "65.4% 64.0–66.8" in text
    assert "nan" not in text
    told = "Under an accuracy on distorted images stands its 95% interval."
    assert told in text
    comparison = make_report().comparison
    single = comparison.assign(**dict.fromkeys(["distorted_low", "distorted_high"], np.nan))
    assert told not in read_page(render_report(make_report(comparison=single))).text


def test_notes_and_facts_are_shown(make_report, read_page):
    text = read_page(render_report(make_report())).text
    assert "Accuracy was measured on 1,000 test images." in text
    assert "kerasft robustify resnet8.h5" in text
    read_page(render_report(make_report(notes=(), facts={})))


def test_equal_reports_give_equal_pages(make_report):
    assert render_report(make_report()) == render_report(make_report())


def test_the_page_does_not_depend_on_matplotlib_settings(make_report):
    import matplotlib

    page = render_report(make_report())
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black"}):
        assert render_report(make_report()) == page
        assert matplotlib.rcParams["font.size"] == 30


def test_headings_and_tables_are_marked_up(make_report, read_page):
    page = read_page(render_report(make_report()))
    assert ("html", {"lang": "en"}) in page.tags
    assert [tag for tag, _ in page.tags].count("h1") == 1
    assert all(
        attributes.get("scope") in ("col", "row") for tag, attributes in page.tags if tag == "th"
    )
    for tag, attributes in page.tags:
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg":
            assert attributes["role"] == "img"
            assert attributes["aria-label"]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
