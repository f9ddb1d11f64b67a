"""Matplotlib figures as SVG elements that can stand inside an HTML page."""

import io
import warnings
from xml.etree import ElementTree

from kerasft.chart_style import chart_style


def inline_svg(figure, label, key):
    """Turn a figure into an `<svg>` element for the body of an HTML page.

    Args:
        figure: A matplotlib `Figure`.
        label: What the picture shows, for people who cannot see it.
        key: A word that no other picture of the page has.

    Returns:
        The element as text; it fills the width of whatever it stands in.
    """
    buffer = io.StringIO()
    with chart_style(), warnings.catch_warnings():
        # Matplotlib measures text with its own font; the browser that draws the
        # page has others.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(buffer.getvalue())
    _drop(root, "metadata")
    # Matplotlib's style element would reach every other element of the page.
    _drop(root, "style")
    references = _references(root)
    for element in root.iter():
        # In HTML, SVG needs no namespaces, and readers of the page no riddles.
        element.tag = element.tag.split("}")[-1]
        attributes = {name.split("}")[-1]: value for name, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update(_prefixed(attributes, references, key))
    # Style sheets set the size of the picture, the viewBox its proportions.
    viewbox = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update({"viewBox": viewbox, "role": "img", "aria-label": label})
    return ElementTree.tostring(root, encoding="unicode")


def plain_text(text, length=48):
    """Text fit for a chart: one line, no control characters, not too long."""
    # Lone surrogates come from file names that are not valid text.
    text = str(text).encode("utf-8", "replace").decode("utf-8")
    text = "".join(c if c.isprintable() else "�" for c in text)
    return text if len(text) <= length else text[: length - 1] + "…"


def _drop(root, name):
    for parent in root.iter():
        for child in [c for c in parent if c.tag.split("}")[-1] == name]:
            parent.remove(child)


def _references(root):
    return {
        word
        for element in root.iter()
        for value in element.attrib.values()
        for word in [_target(value)]
        if word
    }


def _target(value):
    if value.startswith("url(#"):
        return value[5:-1]
    return value[1:] if value.startswith("#") else None


def _prefixed(attributes, references, key):
    # Ids are unique within a picture only, and most are never referred to.
    for name, value in attributes.items():
        if name == "id":
            if value in references:
                yield name, f"{key}-{value}"
        elif _target(value) in references:
            yield name, value.replace("#", f"#{key}-")
        else:
            yield name, value
