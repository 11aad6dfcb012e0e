"""The report of a comparison: one HTML file, pictures inside, nothing from elsewhere."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
import numpy as np

from sklearn_open._command.arguments import predict_command
from sklearn_open._command.images import Images
from sklearn_open._persistence.atomic import write_atomically
from sklearn_open._recipes._methods import METHODS
from sklearn_open.comparison import MethodComparison
from sklearn_open.comparison._sentences import cells_of, note, sentences, words_for
from sklearn_open.inspection import MethodComparisonDisplay

__all__ = ["check_can_draw", "write_report"]

TEMPLATE = Path(__file__).with_name("report.html.jinja")
WIDTH = 5.2  # inches of a picture: as wide as a phone at the size of its text
PER_CLASS = 6  # pictures of each class
MAX_COPIES = 50  # that are named
MAX_CLASSES = 12  # of which pictures and confusions are shown


def check_can_draw() -> None:
    """Refuse to begin without matplotlib, which would be missed at the end.

    Raises
    ------
    ImportError
        With what to do.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(
            "The report has pictures by matplotlib, which is not installed. Run pip install "
            "matplotlib."
        ) from error
    matplotlib.use("agg")


def write_report(
    path: Path,
    found: MethodComparison,
    images: Images,
    facts: dict[str, Any],
    args: argparse.Namespace,
) -> None:
    """Write the report.

    Parameters
    ----------
    path : Path
    found : MethodComparison
    images : Images
    facts : dict
        How it was made.
    args : argparse.Namespace
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["breakable"] = _breakable
    heads, rows = cells_of(found)
    text = environment.from_string(TEMPLATE.read_text()).render(
        best=found.best_method_,
        folder=args.folder.resolve().name,
        score=words_for(found.scoring),
        images=str(images),
        sentences=sentences(found),
        note=note(found),
        table={"heads": heads, "rows": rows},
        largest=found.class_names_[int(found.class_count_.argmax())],
        pictures=_pictures(found, images),
        methods=[(name, _title(name)) for name in found.ranked()],
        predict=predict_command(path.parent / "model.safetensors"),
        n_copies=len(found.copy_pairs_),
        copies=[[images.filenames[i] for i in pair] for pair in found.copy_pairs_[:MAX_COPIES]],
        command=facts["command"],
        plan=f"{found.plan_}.",
        machine=f"{facts['machine']}.",
        versions=", ".join(f"{name} {number}" for name, number in facts["versions"].items()) + ".",
    )
    write_atomically(path, text.encode())


def _breakable(name: str) -> markupsafe.Markup:
    """Return a long name that may be broken behind its underscores."""
    return markupsafe.Markup("_<wbr>").join(name.split("_"))


def _title(name: str) -> str:
    base = name.partition(" (")[0]
    return f"{METHODS[base].title}{name[len(base) :]}" if base in METHODS else "of one's own"


def _pictures(found: MethodComparison, images: Images) -> list[dict[str, str]]:
    from matplotlib.figure import Figure

    height = 1.3 + 0.4 * len(found.methods_)
    figures = [Figure(figsize=(WIDTH, height), layout="constrained") for _ in range(2)]
    MethodComparisonDisplay.from_comparison(found, ax=[one.subplots() for one in figures])
    pictures = [
        {"svg": _svg(figures[0]), "caption": "Dots: mean and standard error. Grey: single folds."},
        {"svg": _svg(figures[1]), "caption": "Share of the images of a class that are right."},
    ]
    if len(found.classes_) <= MAX_CLASSES:
        pictures += [
            {
                "svg": _svg(_confusion(found)),
                "caption": f"{found.best_method_}: tested images of all folds.",
            },
            {"svg": _svg(_samples(images)), "caption": "Some images of each class, as trained on."},
        ]
    return pictures


def _confusion(found: MethodComparison) -> Any:
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay

    n = len(found.classes_)
    figure = Figure(figsize=(WIDTH, 1.6 + 0.4 * n), layout="constrained")
    display = ConfusionMatrixDisplay(
        found.confusion_[found.best_index_], display_labels=found.class_names_
    )
    display.plot(ax=figure.subplots(), colorbar=False, cmap="Blues", xticks_rotation=45)
    display.ax_.set_xticklabels(display.ax_.get_xticklabels(), ha="right", rotation_mode="anchor")
    return figure


def _samples(images: Images) -> Any:
    """Return a picture with the first images of each class, smallest class first."""
    from matplotlib.figure import Figure

    names = list(images.counts)[::-1]
    figure = Figure(figsize=(WIDTH, 0.75 * len(names) + 0.2), layout="constrained")
    axes = figure.subplots(len(names), PER_CLASS, squeeze=False)
    for row, name in zip(axes, names, strict=True):
        of_class = np.flatnonzero(images.y == name)
        for column, ax in enumerate(row):
            ax.set_axis_off()
            if column < len(of_class):
                ax.imshow(_shown(images.X[int(of_class[column])]), cmap="gray", aspect="equal")
        row[0].set_title(f"{name} ({len(of_class):,})", loc="left", fontsize=9)
    return figure


def _shown(image: Any) -> np.ndarray:
    """Return one image as it can be drawn; of a data set, without its label."""
    pixels = np.asarray(image[0] if isinstance(image, tuple) else image)
    return pixels if pixels.dtype == np.uint8 else pixels / max(1, pixels.max())


def _svg(figure: Any) -> str:
    """Return a figure as the element that goes into a page."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]
