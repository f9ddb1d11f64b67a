import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kerasft.report import render_report


def images_of(page):
    uris = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    prefix = "data:image/png;base64,"
    assert all(uri.startswith(prefix) for uri in uris)
    return [Image.open(io.BytesIO(base64.b64decode(uri[len(prefix) :]))) for uri in uris]


def test_classes_are_sorted_by_change(make_report, read_page):
    text = read_page(render_report(make_report())).text.split("Class by class")[1]
    assert "Of 3 classes, 1 gained, 1 lost and 1 stayed level." in text
    assert re.search(r"cat 400 images.*\+30\.0.*frog.*±0\.0.*dog.*−5\.0", text)


def test_of_many_classes_the_best_and_worst_ten_are_shown(make_report, read_page):
    names = [f"class-{number:04d}" for number in range(1000)]
    after = np.linspace(0.9, 0.1, 1000)
    per_class = pd.DataFrame({"class": names, "count": 50.0, "before": 0.5, "after": after})
    per_class.loc[0, ["before", "after"]] = np.nan
    text = read_page(render_report(make_report(per_class=per_class))).text
    shown = re.findall(r"class-(\d{4}) 50 images", text)
    assert [int(name) for name in shown] == [*range(1, 11), *range(990, 1000)]
    assert "1 class without images left out." in text
    assert "Of 999 classes" in text


@pytest.mark.parametrize("number", [2, 20, 21])
def test_class_tables_switch_above_twenty(make_report, read_page, number):
    per_class = pd.DataFrame(
        {"class": list(range(number)), "count": 5, "before": 0.5, "after": 0.6}
    )
    text = read_page(render_report(make_report(per_class=per_class))).text
    assert text.count("5 images") >= min(number, 20)
    assert ("Worst changes" in text) == (number > 20)


def test_no_classes_at_all(make_report, read_page):
    per_class = make_report().per_class.iloc[:0]
    text = read_page(render_report(make_report(per_class=per_class))).text
    assert "No accuracy per class was recorded" in text


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_samples_are_shown_pixel_for_pixel(make_report, read_page, channels):
    rng = np.random.default_rng(1)
    clean = rng.integers(0, 256, (8, 5, 7, channels)).astype("uint8")
    report = make_report(
        clean_samples=clean,
        distorted_samples=255 - clean,
        sample_labels=list("abcdefgh"),
    )
    page = read_page(render_report(report))
    images = images_of(page)
    assert len(images) == 16
    for index in range(8):
        above, below = (np.asarray(images[2 * index + k]) for k in (0, 1))
        np.testing.assert_array_equal(above.reshape(clean.shape[1:]), clean[index])
        np.testing.assert_array_equal(below.reshape(clean.shape[1:]), 255 - clean[index])
    classes = {attributes["class"] for tag, attributes in page.tags if tag == "img"}
    assert classes == {"pixels"}


def test_large_samples_are_reduced_and_the_page_says_so(make_report, read_page):
    samples = np.zeros((1, 300, 600, 3), "uint8")
    page = read_page(
        render_report(
            make_report(clean_samples=None, distorted_samples=samples, sample_labels=["cat"])
        )
    )
    assert [image.size for image in images_of(page)] == [(256, 128)]
    assert "Distorted images. Shown smaller than they are." in page.text
