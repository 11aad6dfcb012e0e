"""What may stand on the command line."""

import pytest

from sklearn_open._command.arguments import COMMANDS, methods_of, parse
from sklearn_open.comparison import DEFAULT_METHODS


def test_names_of_methods_have_parameters():
    args = parse(["compare", "photos", "--methods", "erm", "open:delta=0.5,norm=aux,augment=None"])
    assert methods_of(args) == [
        ("erm", {}),
        ("open", {"delta": 0.5, "norm": "aux", "augment": None}),
    ]
    assert methods_of(parse(["compare", "photos"])) == DEFAULT_METHODS
    assert methods_of(parse(["compare", "photos", "--methods", "all"])) == "all"
    assert parse(["train", "photos", "--method", "crt:mixup=1"]).method == ("crt", {"mixup": 1})


def test_sizes_are_numbers_or_pairs():
    assert parse(["train", "photos", "--size", "48"]).size == 48
    assert parse(["train", "photos", "--size", "48x96"]).size == (48, 96)
    assert parse(["train", "photos"]).size is None


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "arguments are required"),
        (["compare"], "FOLDER"),
        (["compare", "photos", "--methods", "opem"], "There is no method 'opem'. Is it 'open'?"),
        (["compare", "photos", "--methods", "open:delta"], "'delta' in 'open:delta' is no param"),
        (["compare", "photos", "--minutes", "0"], "'0' is no number above 0"),
        (["compare", "photos", "--minutes", "soon"], "'soon' is no number above 0"),
        (["compare", "photos", "--folds", "1"], "'1' is no whole number of 2 or more"),
        (["compare", "photos", "--groups-by", "num_"], "no group in parentheses"),
        (["compare", "photos", "--groups-by", "num_("], "no regular expression"),
        (["compare", "photos", "--size", "big"], "'big' is no size: write 64"),
        (["train", "photos", "--size", "0"], "'0' is no size"),
        (["train", "photos", "--resize", "bend"], "Invalid choice: 'bend'|invalid choice: 'bend'"),
        (["train", "photos", "--colour"], "Unrecognized arguments: --colour"),
        (["predict", "model"], "IMAGES"),
        (["divine"], "invalid choice: 'divine'"),
    ],
)
def test_wrong_arguments_are_told_of_in_a_sentence(argv, sentence, capsys):
    with pytest.raises(SystemExit) as error:
        parse(argv)
    assert error.value.code == 2
    told = capsys.readouterr().err
    assert any(one in told for one in sentence.split("|"))
    assert told.strip().endswith("--help.")
    assert "usage" not in told


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_each_is_for(command, capsys):
    with pytest.raises(SystemExit) as error:
        parse([command, "--help"])
    assert error.value.code == 0
    assert COMMANDS[command][1:] in " ".join(capsys.readouterr().out.split())
