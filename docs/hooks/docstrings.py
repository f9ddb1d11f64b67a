"""Docstrings as the site's reader of Google style wants them.

In the source `>>>` examples stand at the left margin below `Example:`, as
Keras writes them; the reader takes a section's content to be indented. And a
few sections look better as plain lists than as what the reader makes of them.
"""

import re
import textwrap

import griffe

_EXAMPLE = re.compile(
    r"^Example:\n\n(?P<code>>>> .*?)(?=^[A-Z][a-z ]+:$|\Z)", re.MULTILINE | re.DOTALL
)
_PLAIN = re.compile(
    r"^(?P<title>Returns|References?|Trainable weights):\n(?P<text>(?:    .*\n?|\n(?=    ))+)",
    re.MULTILINE,
)


def _indent(match):
    code = textwrap.indent(match["code"].strip(), "    ")
    return f"Examples:\n{code}\n\n"


def _list(match):
    item = textwrap.indent(textwrap.dedent(match["text"]).strip(), "    ").lstrip()
    return f"**{match['title']}:**\n\n-   {item}\n"


class KerasStyle(griffe.Extension):
    """Rewrites the sections that the reader does not know."""

    def on_object(self, *, obj, **kwargs):
        if obj.docstring:
            text = _EXAMPLE.sub(_indent, obj.docstring.value)
            obj.docstring.value = _PLAIN.sub(_list, text)
