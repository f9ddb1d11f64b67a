import re

import pandas as pd
import pytest

from kerasft.report import render_report

HOSTILE = [
    "<script>alert(1)</script>",
    "$x^2$",
    '"onload="alert(1)',
    "'><svg onload=alert(1)>",
    "</style></title><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &amp;",
    "javascript:alert(1)",
    "]]><!-- -->",
]


def hostile_report(make_report, make_layer, comparison, name):
    return make_report(
        title=name,
        model_name=name,
        distortion=name,
        ranking={name: make_layer(4), "other": make_layer(2)},
        selection={name: [1], f"lost {name}": [0]},
        sample_labels=[name] * 3,
        per_class=pd.DataFrame({"class": [name], "count": [5], "before": [0.2], "after": [0.4]}),
        comparison=comparison.assign(method=["none", name, "random"]),
        notes=[name],
        facts={name: name},
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_shown_literally(make_report, make_layer, comparison, read_page, name):
    html = render_report(hostile_report(make_report, make_layer, comparison, name))
    page = read_page(html)
    assert page.title == name
    # Title, model, distortion, two layers, three samples, class, method in chart and
    # table, note, fact and its name.
    assert page.text.count(" ".join(name.split())) >= 14
    for tag, attributes in page.tags:
        assert tag != "script"
        assert not [key for key in attributes if key.startswith("on")]


@pytest.mark.parametrize("name", [" ".join(HOSTILE), "plain"], ids=["hostile", "plain"])
def test_nothing_is_loaded_from_elsewhere(make_report, make_layer, comparison, read_page, name):
    html = render_report(hostile_report(make_report, make_layer, comparison, name))
    tags = read_page(html).tags
    links = {attributes["href"] for tag, attributes in tags if tag == "a"}
    assert links == {"https://arxiv.org/abs/1904.03949"}
    for tag, attributes in tags:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
        for key in ("src", "href", "xlink:href", "srcset", "poster", "action"):
            value = attributes.get(key, "#")
            assert tag == "a" or value.startswith(("#", "data:image/png;base64,"))
    assert not re.findall(r"url\((?!#)|@import", html)
    assert html.count("http") == 2  # the link, and http-equiv


def test_a_policy_forbids_what_escaping_might_miss(make_report, read_page):
    (policy,) = [
        attributes["content"]
        for tag, attributes in read_page(render_report(make_report())).tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert "default-src 'none'" in policy
    assert "script" not in policy


@pytest.mark.parametrize(
    "name",
    [
        "日本語のクラス",
        "قطة",
        "🐈",
        "n" * 5000,
        "a\x00b\x0bc",
        "caf\udce9",
        "line\nbreak",
        "",
    ],
    ids=["cjk", "arabic", "emoji", "long", "control", "surrogate", "newline", "empty"],
)
def test_names_of_any_script_and_length_survive(make_report, make_layer, comparison, name):
    html = render_report(hostile_report(make_report, make_layer, comparison, name))
    html.encode("utf-8")
    assert "</html>" in html
