"""The report: one file, nothing from elsewhere, readable at any width."""

import argparse
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from sklearn_open._command.report import check_can_draw, write_report
from sklearn_open.datasets import ImageReader
from tests.comparison.test_result import CLASSES, SCORES, made

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


class Images:
    def __init__(self, names):
        rng = np.random.RandomState(0)
        self.y = np.repeat(names, 8)
        self.X = rng.randint(0, 255, (len(self.y), 12, 12), dtype=np.uint8)
        self.filenames = [f"{name}/{i}.png" for i, name in enumerate(self.y)]
        self.reader = ImageReader(size=12, mode="L")
        self.counts = dict.fromkeys(names, 8)

    def __str__(self):
        return "24 grey images at 12 x 12 pixels: crack 8, good 8, hole 8."


@pytest.fixture
def report(tmp_path):
    check_can_draw()
    found = made(SCORES)
    found.copy_pairs_ = np.array([[3, 11], [4, 12]])
    found.plan_ = "3 folds, 7 epochs: about 2 min"
    facts = {
        "command": "python -m sklearn_open compare '<b>photos'",
        "machine": "x86_64, 2 cores",
        "versions": {"torch": "2.0"},
    }
    args = argparse.Namespace(folder=Path("<photos>"))
    write_report(tmp_path / "report.html", found, Images(CLASSES), facts, args)
    return tmp_path / "report.html"


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_data(self, data):
        self.words.append(data)


def test_everything_is_inside(report):
    page = Page(report.read_text())
    assert page.tags.count("svg") == 4
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert not re.findall(r"url\((?!#)", report.read_text())


def test_what_was_found_is_said(report):
    words = " ".join(" ".join(Page(report.read_text()).words).split())
    assert "open has the best balanced accuracy: 70.8 ± 1.1 (mean of 5 folds)." in words
    assert "10.6 ± 0.4" in words
    assert "a third of it pure noise" in words
    assert "3 folds, 7 epochs: about 2 min." in words
    assert "predict" in words
    assert "2 images were tested while" in words
    assert "crack/3.png, as good/11.png" in words


def test_names_are_text_and_no_html(report):
    text = report.read_text()
    assert "<photos>" not in text
    assert "<b>photos" not in text
    assert "&lt;photos&gt;" in text


def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"there is no browser ({', '.join(BROWSERS)})")
    return found


MEASURE = """
<script>
addEventListener("load", () => {
  const wide = [...document.querySelectorAll("body *")].filter(one =>
    !one.closest(".wide, pre, svg") && one.getBoundingClientRect().right > innerWidth + 1);
  const texts = [...document.querySelectorAll("h1, h2, li, p, figure, .wide, pre, details")]
    .filter(one => !one.parentElement.closest("details"));  // what is folded has no place
  const boxes = texts.map(one => one.getBoundingClientRect());
  let over = 0;
  for (let i = 0; i < boxes.length; i++) for (let j = 0; j < i; j++) {
    const [a, b] = [boxes[i], boxes[j]];
    if (texts[i].contains(texts[j]) || texts[j].contains(texts[i])) continue;
    const beside = a.right <= b.left + 1 || b.right <= a.left + 1;
    const below = a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
    if (!beside && !below) over++;
  }
  const smallest = Math.min(...[...document.querySelectorAll("figure svg")].map(svg =>
    10 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width));
  document.title = JSON.stringify({
    columns: new Set([...document.querySelectorAll("figure")].map(one =>
      one.getBoundingClientRect().left)).size,
    scroll: document.documentElement.scrollWidth, width: innerWidth, wide: wide.length, over,
    text: smallest});
});
</script>
"""


@pytest.mark.parametrize("width", [1280, 500])
def test_it_fits_on_a_desk_and_in_a_hand(report, width, tmp_path):
    """In a window of a phone's width nothing is cut off, and text in pictures is 8 px or more.

    (A headless browser's window is no narrower than 500 pixels; a phone's page is a frame in it.)
    """
    measured = tmp_path / "measured.html"
    measured.write_text(report.read_text().replace("</body>", f"{MEASURE}</body>"))
    frame = tmp_path / "frame.html"
    page_width = 1280 if width == 1280 else 390
    frame.write_text(
        f'<iframe id="f" src="measured.html" width="{page_width}" height="900" '
        'style="border:0"></iframe><script>addEventListener("load", () => setTimeout(() => '
        '{document.title = document.getElementById("f").contentDocument.title}, 300))</script>'
    )
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    done = subprocess.run(
        [browser(), *options, "--virtual-time-budget=3000", f"--window-size={width},900"]
        + ["--dump-dom", frame.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    title = re.search(r"<title>(.*?)</title>", done.stdout)[1].replace("&quot;", '"')
    found = json.loads(title)
    assert found["columns"] == (2 if page_width == 1280 else 1)
    assert found["width"] == page_width
    assert found["scroll"] <= found["width"]
    assert found["wide"] == 0
    assert found["over"] == 0
    assert found["text"] >= 8
