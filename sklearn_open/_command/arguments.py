"""What may stand on the command line, and what is said of it."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from sklearn_open._recipes._methods import METHODS, get_method
from sklearn_open.comparison import DEFAULT_METHODS

__all__ = ["COMMANDS", "HELP", "PROGRAM", "methods_of", "parse", "predict_command"]

PROGRAM = "python -m sklearn_open"
COMMANDS = {
    "compare": "train several methods on a folder of images, and say which is best, by how much",
    "train": "train one method on a folder of images, into a model file",
    "predict": "label images by a model file",
}
HELP = f"""usage: {PROGRAM} [compare | train | predict | (nothing)] ...

{chr(10).join(f"  {name:<9}{text}" for name, text in COMMANDS.items())}
  (nothing) runs the demonstration: three methods on scikit-learn's digits

{PROGRAM} compare --help says more, and so for the others.
"""
FOLDER = (
    "folder (or zip file) with one folder of images for each class; images may lie deeper, as "
    "Class/Imgs/1.jpg"
)


class _Parser(argparse.ArgumentParser):
    """Says what was wrong in a sentence, and where help is."""

    def error(self, message: str) -> NoReturn:
        sentence = message[0].upper() + message[1:].rstrip(".")
        self.exit(2, f"{sentence}. See {self.prog} --help.\n")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments, checked as far as they can be without looking at images.

    Parameters
    ----------
    argv : sequence of str
        The first is one of `COMMANDS`.

    Raises
    ------
    SystemExit
        For arguments that there are not, after saying which there are.
    """
    parser = _Parser(prog=PROGRAM, description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    made = {
        name: commands.add_parser(name, help=text, description=_sentence(text))
        for name, text in COMMANDS.items()
    }
    _of_compare(made["compare"])
    _of_train(made["train"])
    _of_predict(made["predict"])
    return parser.parse_args(argv)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _of_compare(parser: Any) -> None:
    _of_images(parser)
    parser.add_argument(
        "--methods",
        nargs="+",
        type=_method,
        metavar="METHOD",
        help=f"names, or 'all' ({', '.join(METHODS)}); with parameters as "
        "open:delta=0.5,logit_adjustment=0.5. By default plain training and five that share most "
        "of it",
    )
    parser.add_argument(
        "--minutes",
        type=_positive,
        help="how long it may take, about: folds and epochs are planned to fit (default: 2 to "
        "20, by the number of pixels of all images)",
    )
    parser.add_argument(
        "--groups-by",
        metavar="PATTERN",
        type=_regex,
        help=r"regular expression with a group in parentheses, as 'num_(\d+)': images whose names "
        "have it in common show one object, and are never trained on and tested at once",
    )
    parser.add_argument("--folds", type=_at_least(2), help="how many (default: 5, or 3)")
    parser.add_argument(
        "--scoring",
        default="balanced_accuracy",
        help="what methods are compared by, a name of scikit-learn's (default: balanced_accuracy)",
    )
    parser.add_argument(
        "--jobs",
        type=_at_least(1),
        help="fits at once, a process for each (default: one for each core; on a GPU 1)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("comparison"),
        help="folder for report.html, results.json and model.safetensors, and for what is done if "
        "it is stopped: the same command goes on (default: comparison)",
    )
    _of_training(parser)


def _of_train(parser: Any) -> None:
    _of_images(parser)
    parser.add_argument(
        "--method",
        type=_one_method,
        default=("open", {}),
        help="a name, with parameters as for compare (default: open)",
    )
    parser.add_argument(
        "--epochs",
        type=_at_least(1),
        help="how many, in each stage of a method of two (default: by the number of images)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("model.safetensors"),
        help="model file (default: model.safetensors)",
    )
    _of_training(parser)


def _of_predict(parser: Any) -> None:
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help="file that compare or train wrote"
    )
    parser.add_argument(
        "images",
        nargs="+",
        type=Path,
        metavar="IMAGES",
        help="image files, or folders, of which all images are taken, however deep they lie",
    )
    parser.add_argument("--csv", type=Path, help="file for the labels (default: they are printed)")
    parser.add_argument(
        "--pattern",
        help="which files of a folder, as '*/Imgs/*.jpg' (default: all images but what seem to be "
        "masks beside them)",
    )
    parser.add_argument("--device", default="auto", help="as 'cpu' or 'cuda' (default: auto)")


def _of_images(parser: Any) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help=FOLDER)
    parser.add_argument("--subset", help="folder inside FOLDER that has the classes, as train")
    parser.add_argument(
        "--pattern",
        help="which files are the images of a class, as 'Imgs/*.jpg', relative to its folder "
        "(default: found by itself, where there is no doubt)",
    )
    parser.add_argument(
        "--size",
        type=_size,
        help="pixels that images are brought to, as 64 or 48x96 (default: their own, if they have "
        "one of at most 64; else 64)",
    )
    parser.add_argument(
        "--resize",
        choices=("pad", "crop", "squeeze"),
        default="pad",
        help="how: 'pad' and 'crop' keep proportions, 'squeeze' does not (default: pad)",
    )
    parser.add_argument(
        "--mode",
        choices=("auto", "RGB", "L"),
        default="auto",
        help="colour or grey (default: grey if all files are)",
    )
    parser.add_argument(
        "--skip-damaged", action="store_true", help="leave out files that cannot be read"
    )
    parser.add_argument(
        "--skip-empty", action="store_true", help="allow folders of classes without images"
    )
    parser.add_argument(
        "--follow-links", action="store_true", help="follow links that lead out of FOLDER"
    )


def _of_training(parser: Any) -> None:
    parser.add_argument(
        "--module",
        help="network by name, as wrn16_2, resnet18, timm:resnet18 (default: a small one)",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        help="file of pretrained weights (.pth, .pt, .safetensors) of that network",
    )
    parser.add_argument("--lr", type=_positive, help="learning rate (of the last layer, --weights)")
    parser.add_argument(
        "--backbone-lr",
        type=_positive,
        help="learning rate of all other layers, with --weights (default: a tenth)",
    )
    parser.add_argument(
        "--freeze",
        nargs="+",
        default=[],
        metavar="LAYERS",
        help="layers that are not trained, by pattern, as 'conv1*' 'layer1*'; with --weights",
    )
    parser.add_argument("--augment", help="as flip_crop, simclr; 'none' for none")
    parser.add_argument("--seed", type=_at_least(0), default=0, help="of all that is random")
    parser.add_argument("--device", default="auto", help="as 'cpu' or 'cuda' (default: auto)")


# --- values ---


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def _at_least(least: int) -> Any:
    def whole(text: str) -> int:
        if not re.fullmatch(r"\d+", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of {least} or more")
        return int(text)

    return whole


def _size(text: str) -> int | tuple[int, int]:
    """Return "64" as 64, "48x96" as (48, 96)."""
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)?", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no size: write 64, or 48x96 for height and width"
        )
    sides = [int(side) for side in text.split("x")]
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def _regex(text: str) -> str:
    try:
        n_groups = re.compile(text).groups
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression ({error})") from error
    if not n_groups:
        raise argparse.ArgumentTypeError(
            rf"{text!r} has no group in parentheses, as 'num_(\d+)' has"
        )
    return text


def _method(text: str) -> Any:
    """Return "all", or a pair of name and parameters: "open:delta=0.5" is ("open", {...})."""
    if text == "all":
        return text
    name, _, rest = text.partition(":")
    try:
        get_method(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from error
    parameters = {}
    for part in filter(None, rest.split(",")):
        key, has_value, value = part.partition("=")
        if not has_value:
            raise argparse.ArgumentTypeError(
                f"{part!r} in {text!r} is no parameter: write it as delta=0.5"
            )
        parameters[key.strip()] = _value(value.strip())
    return name, parameters


def _one_method(text: str) -> Any:
    if text == "all":
        raise argparse.ArgumentTypeError("'all' are many methods: name one, or use compare")
    return _method(text)


def _value(text: str) -> Any:
    """Return a number where a text is one, None, True or False where it is their name."""
    if text in ("None", "True", "False"):
        return {"None": None, "True": True, "False": False}[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def predict_command(model: Path) -> str:
    """Return what to type to label images by a model."""
    return f"{PROGRAM} predict {shlex.quote(str(model))} FOLDER --csv labels.csv"


def methods_of(args: argparse.Namespace) -> Any:
    """Return the methods to compare, as `compare_methods` takes them."""
    if args.methods is None:
        return DEFAULT_METHODS
    return "all" if "all" in args.methods else args.methods
