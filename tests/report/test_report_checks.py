import numpy as np
import pandas as pd
import pytest

from kerasft.report import comparison_chart_png, comparison_figure


def changed(table, **columns):
    return table.assign(**columns)


def test_report_fields_cannot_be_replaced(make_report):
    with pytest.raises(AttributeError):
        make_report().title = "other"


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("accuracy", lambda t: t.drop(columns="count"), "with the columns"),
        ("accuracy", lambda t: t.to_dict(), "Received: dict"),
        ("accuracy", lambda t: changed(t, before=[1.2, 0.5]), "fractions from 0 to 1"),
        (
            "accuracy",
            lambda t: changed(t, after=[np.nan, 0.5]),
            "fractions from 0 to 1",
        ),
        ("accuracy", lambda t: changed(t, after=["high", "low"]), "numbers in `after`"),
        ("accuracy", lambda t: changed(t, after=["0.5", "0.6"]), r"`after` .*\['0.5', '0.6'\]"),
        ("accuracy", lambda t: changed(t, before=[True, False]), "numbers in `before`"),
        ("accuracy", lambda t: changed(t, count=[0, 5]), "at least 1 in `count`"),
        ("accuracy", lambda t: changed(t, count=[2.5, 5]), "whole numbers"),
        ("accuracy", lambda t: t.iloc[1:], "begins with 'distorted'"),
        ("accuracy", lambda t: t.iloc[:0], "begins with 'distorted'"),
        ("accuracy", lambda t: pd.concat([t, t]), "begins with 'distorted'"),
        ("per_class", lambda t: t.rename(columns={"class": "name"}), "`per_class`"),
        ("per_class", lambda t: changed(t, before=-0.1), "`before` of `per_class`"),
        ("per_class", lambda t: changed(t, count=-1), "at least 0"),
        ("comparison", lambda t: t.drop(columns="seeds"), "`comparison`"),
        ("comparison", lambda t: t.iloc[:0], "at least one row"),
        ("comparison", lambda t: changed(t, method="none"), "at most one row"),
        ("comparison", lambda t: changed(t, distorted_low=0.9), "≤"),
        ("comparison", lambda t: changed(t, distorted_high=0.1), "≤"),
        ("comparison", lambda t: changed(t, clean_accuracy=88), "clean_accuracy"),
        ("trained_parameters", lambda _: 78667, "0 ≤ `trained_parameters`"),
        ("trained_parameters", lambda _: -1, "Received: -1 and 78666"),
        ("trained_parameters", lambda _: "5", "whole numbers.* Received: '5' and 78666"),
        ("trained_parameters", lambda _: 0.5, "whole numbers.* Received: 0.5 and 78666"),
        ("total_parameters", lambda _: None, "whole numbers.* and None"),
        ("clean_samples", lambda x: x[:2], "same shape"),
        ("clean_samples", lambda x: x / 255.0, "uint8"),
        ("distorted_samples", lambda x: x[..., :2], "1, 3 or 4 channels"),
        ("distorted_samples", lambda x: x[0], r"shape \(8, 8, 3\)"),
        ("distorted_samples", lambda x: x[:0], "1 to 8 images"),
        ("distorted_samples", lambda x: np.repeat(x, 3, 0), "1 to 8 images"),
        ("sample_labels", lambda x: x[:2], "3 `sample_labels`"),
        ("history", lambda h: h | {"loss": [1.0]}, "lists of one length"),
        ("history", lambda _: None, "`history` as a mapping.* NoneType"),
        ("history", lambda h: h | {"loss": 1.0}, "list of numbers in `loss` of `history`.* 1.0"),
        ("history", lambda h: h | {"loss": ["1.0"] * 3}, "list of numbers in `loss`"),
        ("history", lambda h: h | {"loss": [[1.0], [2.0, 3.0], []]}, "list of numbers in `loss`"),
        ("history", lambda h: h | {"accuracy": [50, 60, 70]}, "from 0 to 1"),
        ("selection", lambda _: {"conv1": [16]}, "from 0 to 15"),
        ("selection", lambda _: {"conv1": [3, 3]}, "each once"),
        ("selection", lambda _: {"conv1": [0.5]}, r"from 0 to 15, each once.* \[0.5\]"),
        ("selection", lambda _: {"conv1": 3}, "from 0 to 15, each once.* 3"),
        ("selection", lambda _: [3], "`selection` as a mapping.* list"),
        ("ranking", lambda _: None, "`ranking` as a mapping.* NoneType"),
        ("facts", lambda _: None, "`facts` as a mapping.* NoneType"),
        ("selection", lambda _: {"unranked": [-1]}, "of 0 or more, each once"),
        ("notes", lambda _: "one string", "list of sentences"),
    ],
)
def test_wrong_values_are_refused(make_report, field, change, message):
    value = change(getattr(make_report(), field))
    with pytest.raises(ValueError, match=rf"(?s)^Expected.*{message}") as error:
        make_report(**{field: value})
    assert "Received" in str(error.value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("order", np.array([0, 1, 1, 3]), "each filter index once"),
        ("order", np.array([], int), "each filter index once"),
        ("order", np.arange(4.0), "each filter index once"),
        ("order", None, "each filter index once. Received: None"),
        ("borda_counts", np.array([1, 2, 3]), "4 finite numbers"),
        ("borda_counts", np.array([-1, 2, 3, 4]), "4 finite numbers"),
        ("mean_distance", np.array([np.nan, 1, 2, 3]), "4 finite numbers"),
        ("mean_distance", ["0", "1", "2", "3"], "4 finite numbers"),
        ("mean_distance", [[0], [1, 2], [], [3]], "4 finite numbers"),
    ],
)
def test_wrong_rankings_are_refused(make_report, make_layer, field, value, message):
    layer = make_layer(4)
    setattr(layer, field, value)
    with pytest.raises(ValueError, match=f"'conv1'.*{message}"):
        make_report(ranking={"conv1": layer}, selection={})


def test_only_scores_may_be_negative(make_report, make_layer):
    scored = make_layer(4, borda=False, criterion="correction")
    scored.mean_distance -= 2
    make_report(ranking={"conv1": scored}, selection={})
    scored.criterion = None
    with pytest.raises(ValueError, match="'conv1' as 4 finite numbers of 0 or more"):
        make_report(ranking={"conv1": scored}, selection={})


def test_pictures_check_their_arguments(comparison):
    images = np.zeros((2, 8, 8, 1), "uint8")
    with pytest.raises(ValueError, match="with the columns"):
        comparison_figure(comparison.drop(columns="method"))
    with pytest.raises(ValueError, match="same shape"):
        comparison_chart_png(comparison, images[:1], images)
    with pytest.raises(ValueError, match=r"^Expected `clean_samples` .* Received: None"):
        comparison_chart_png(comparison, None, images)
    with pytest.raises(ValueError, match="fractions from 0 to 1"):
        comparison_chart_png(comparison.assign(distorted_accuracy=2.0), images, images)
