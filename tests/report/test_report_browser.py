import shutil
import subprocess

import pandas as pd
import pytest
from PIL import Image

from kerasft.report import render_report

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]
HOSTILE = '<img src=x onerror=document.title="pwned">'

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason=f"no browser installed: none of {', '.join(NAMES)}"
)


@pytest.fixture
def browse(make_report, tmp_path):
    """A function that opens a hostile report in the browser."""
    per_class = pd.DataFrame(
        {
            "class": [HOSTILE, "<script>document.title='pwned'</script>"],
            "count": [5, 5],
            "before": [0.2, 0.3],
            "after": [0.4, 0.2],
        }
    )
    page = tmp_path / "report.html"
    report = make_report(per_class=per_class, sample_labels=[HOSTILE] * 3)
    page.write_text(render_report(report), encoding="utf-8")

    def open_page(*arguments, address=None):
        done = subprocess.run(
            [
                BROWSER,
                *FLAGS,
                f"--user-data-dir={tmp_path / 'profile'}",
                *arguments,
                address or page.as_uri(),
            ],
            capture_output=True,
            timeout=120,
            check=True,
        )
        return done.stdout.decode("utf-8")

    return open_page


def test_browser_shows_names_and_runs_nothing(browse, read_page):
    dom = browse("--dump-dom")
    page = read_page(dom)
    assert "rose from 31.7% to 65.4%" in page.text
    assert HOSTILE in page.text
    assert page.title == "resnet8.h5 on noise"
    assert "script" not in {tag for tag, _ in page.tags}
    # What the browser made of the page has every chart and every sample.
    assert [tag for tag, _ in page.tags].count("svg") == 5
    assert [tag for tag, _ in page.tags].count("img") == 6


@pytest.mark.parametrize("width", [1100, 500])
def test_browser_draws_the_page(browse, tmp_path, width):
    picture = tmp_path / "page.png"
    browse(f"--window-size={width},1600", f"--screenshot={picture}")
    with Image.open(picture) as image:
        assert image.size == (width, 1600)
        colours = image.convert("RGB").getcolors(maxcolors=1 << 24)
    # White paper, and more on it than a message of failure.
    assert max(colours)[1] == (255, 255, 255)
    assert len(colours) > 50


def test_nothing_is_wider_than_a_phone(browse, tmp_path):
    # Browsers have a least window width, frames have none.
    frame = tmp_path / "frame.html"
    frame.write_text(
        '<iframe src="report.html" style="width:390px;height:900px"></iframe>'
        "<script>onload = () => { const page = document.querySelector('iframe')"
        ".contentDocument.documentElement; document.title = page.scrollWidth }</script>"
    )
    dom = browse("--allow-file-access-from-files", "--dump-dom", address=frame.as_uri())
    width = int(dom.split("<title>")[1].split("</title>")[0])
    assert 300 < width <= 390


def test_page_prints_to_pdf(browse, tmp_path):
    pdf = tmp_path / "report.pdf"
    browse(f"--print-to-pdf={pdf}")
    assert pdf.read_bytes().startswith(b"%PDF")
