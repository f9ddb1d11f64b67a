import jinja2

from kerasft.report.numbers import change, direction, percent, share, whole


def render_page(template, **values):
    """Render a template of the report as one self-contained HTML page.

    Args:
        template: File name of the template.
        **values: What it shows; every text in them is escaped.

    Returns:
        The page as text, to be written as UTF-8.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kerasft.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        change=change,
        direction=direction,
        percent=percent,
        share=share,
        whole=whole,
    )
    page = environment.get_template(template).render(**values)
    # A file name that is not valid text reaches Python as lone surrogates,
    # which no UTF-8 file can hold.
    return page.encode("utf-8", "replace").decode("utf-8")
