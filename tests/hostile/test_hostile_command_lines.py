"""Command lines that say too little, too much or nonsense."""

import pytest
from hostile_material import robustify

COMPLETE = (
    "robustify",
    "{model}",
    "--clean",
    "{clean}",
    "--distorted",
    "{noisy}",
    "--out",
    "{out}",
)
RANK = ("rank", "{model}", "--clean", "{clean}", "--out", "{out}")
TABLE1 = ("reproduce", "table1", "{model}", "--data", "{clean}", "--out", "{out}")

LINES = {
    "an unknown command": (("robustifi",), "No such command 'robustifi'"),
    "an unknown experiment": (("reproduce", "figure7"), "No such command 'figure7'"),
    "an unknown option": ((*COMPLETE, "--fast"), "No such option '--fast'"),
    "robustify alone": (("robustify",), "Missing argument 'MODEL'"),
    "no clean": (("robustify", "{model}"), "Missing option '--clean'"),
    "no distorted": (COMPLETE[:4], "Missing option '--distorted'"),
    "no out": (COMPLETE[:6], "Missing option '--out'"),
    "no data": (("evaluate", "{model}"), "Missing option '--data'"),
    "an option without its value": (COMPLETE[:7], "Option '--out' requires an argument"),
    "two models": ((*COMPLETE, "{model}"), "unexpected extra argument"),
    "fraction 0": ((*COMPLETE, "--fraction", "0"), "over 0 and at most 1. Received: 0."),
    "fraction 2": ((*COMPLETE, "--fraction", "2"), "over 0 and at most 1. Received: 2."),
    "fraction nan": ((*COMPLETE, "--fraction", "nan"), "over 0 and at most 1. Received: nan."),
    "fraction inf": ((*COMPLETE, "--fraction", "inf"), "over 0 and at most 1. Received: inf."),
    "fraction 1/4": ((*COMPLETE, "--fraction", "1/4"), "'1/4' is not a valid float"),
    "batch size 0": ((*COMPLETE, "--batch-size", "0"), "'--batch-size': 0 is not in the range"),
    "batch size 1e3": ((*COMPLETE, "--batch-size", "1e3"), "'1e3' is not a valid integer"),
    "epochs 0": ((*COMPLETE, "--epochs", "0"), "'--epochs': 0 is not in the range"),
    "patience -1": ((*COMPLETE, "--patience", "-1"), "'--patience': -1 is not in the range"),
    "a seed beyond NumPy's": ((*COMPLETE, "--seed", str(2**32)), "is not in the range"),
    "no names of layers": ((*COMPLETE, "--layers", ""), "Expected names separated by commas"),
    "a layer without filters": ((*COMPLETE, "--layers", "head"), "'head', a Dense"),
    "a layer of another model": (
        (*COMPLETE, "--layers", "conv1"),
        "Its Conv2D layers are ['conv']",
    ),
    "a class twice": ((*COMPLETE, "--classes", "cat,cat"), "class names without repetition"),
    "a class that is not there": ((*COMPLETE, "--classes", "cat,eel"), "Received: ['cat', 'dog']"),
    "pixels": ((*COMPLETE, "--pixels", "0-255"), "'0-255' is not one of"),
    "the distortion of a file": ((*RANK, "--distortion", "{noisy}"), "Expected a distortion as"),
    "noise without end": ((*RANK, "--distortion", "awgn:inf"), "Expected a sigma of at least 0"),
    "noise that is no number": ((*RANK, "--distortion", "awgn:nan"), "a sigma of at least 0"),
    "noise of another script": ((*RANK, "--distortion", "awgn:١٥x"), "Expected a distortion as"),
    "exemplars 0": (
        (*RANK, "--distorted", "{noisy}", "--unpaired", "--exemplars", "0"),
        "0 is not in the range",
    ),
    "more exemplars than images": (
        (*RANK, "--distorted", "{noisy}", "--unpaired", "--exemplars", "13"),
        "from 1 to 12",
    ),
    "table1 with too few images": (TABLE1, "Expected at least 4000 images"),
    "a name with what a terminal obeys": (
        ("evaluate", "{path}/\x1b[2J\x07.keras", "--data", "{clean}"),
        "/\\x1b[2J\\x07.keras, which does not exist",
    ),
    "a name of two lines": (
        ("evaluate", "{path}/a\nb.keras", "--data", "{clean}"),
        "/a b.keras, which does not exist",
    ),
}


@pytest.mark.parametrize("case", LINES)
def test_a_command_line_that_cannot_be_is_refused(refused, box, case):
    words, message = LINES[case]
    refused([str(word).format(**vars(box)) for word in words], message)


def test_the_line_that_the_others_depart_from_is_right(kerasft, box):
    assert robustify(box)[:-2] == tuple(
        getattr(box, word.strip("{}")) if word.startswith("{") else word for word in COMPLETE
    )
    status, _, err = kerasft(*robustify(box))
    assert (status, err) == (0, "")


@pytest.mark.parametrize("words", [(), ("reproduce",)])
def test_no_command_is_answered_by_the_help(kerasft, words):
    status, out, err = kerasft(*words)
    assert status == 2
    lines = (out + err).splitlines()
    assert lines[0].startswith("Usage: kerasft")
    assert "  report " in "\n".join(lines) or "  robustify " in "\n".join(lines)
