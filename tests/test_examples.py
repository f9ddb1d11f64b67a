"""Every example that a reader can copy, out of docstrings, the README and the docs, works.

- `>>>` examples in docstrings are doctests.
- ```` ```python ```` blocks of a page are run in order in one namespace. It has
  `model`, `clean`, `distorted` and `labels` to begin with, and the working folder
  `model.keras`, `photos`, `noisy_photos` and others (`_example_material`).
  ```` ```py ```` blocks are shown only, not run.
- `kerasft …` in ```` ```bash ```` and ```` ```console ```` blocks must parse; of
  `python scripts/…` the script and its options, of `make …` the target must exist.
"""

import doctest
import importlib
import pathlib
import pkgutil
import re
import shlex
import subprocess
import sys

import click
import keras
import numpy as np
import pytest

import kerasft
import kerasft_cli.command
import kerasft_cli.running

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [
    page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if page.exists()
]

# Started as a program, not imported.
PROGRAMS = {"kerasft_cli.__main__"}

BLOCK = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```[ ]*$", re.MULTILINE | re.DOTALL)


def _refuse(name):
    raise ImportError(f"{name} cannot be imported")


def _modules():
    names = set()
    for package in (kerasft, kerasft_cli):
        names.add(package.__name__)
        found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.", onerror=_refuse)
        names.update(module.name for module in found)
    return sorted(names - PROGRAMS)


def _doctests():
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = {}
    for name in _modules():
        for test in finder.find(importlib.import_module(name)):
            if test.examples:
                tests[test.name] = test
    return tests


def _blocks(page, *languages):
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        indent, language, content = match.groups()
        if language in languages:
            line = text.count("\n", 0, match.start(3)) + 1
            lines = [text_line.removeprefix(indent) for text_line in content.splitlines()]
            yield line, "\n".join(lines)


def _commands():
    """`(page:line, words)` for each command; a line that ends in a backslash goes on."""
    for page in PAGES:
        for line, content in _blocks(page, "bash", "console"):
            for command in content.replace("\\\n", " ").splitlines():
                words = shlex.split(command.removeprefix("$ "), comments=True)
                if words:
                    yield f"{page.name}:{line} {shlex.join(words)}", words


DOCTESTS = _doctests()
PYTHON_PAGES = [page for page in PAGES if any(_blocks(page, "python"))]
COMMANDS = dict(_commands())


@pytest.fixture
def example_folder(tmp_path, monkeypatch):
    """An empty folder to work in, and Keras's global state as it was afterwards."""
    monkeypatch.chdir(tmp_path)
    policy = keras.config.dtype_policy()
    yield tmp_path
    keras.config.set_dtype_policy(policy)
    keras.utils.clear_session()


@pytest.mark.parametrize("name", DOCTESTS)
def test_docstring_example(name, example_folder):
    report = []
    runner = doctest.DocTestRunner()
    runner.run(DOCTESTS[name], out=report.append, clear_globs=False)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=lambda page: page.name)
def test_python_blocks_of_page_run(page, example_folder):
    namespace = {"__name__": page.stem, **_example_material(example_folder)}
    for line, content in _blocks(page, "python"):
        # Padded, so that a traceback shows the line of the page.
        code = compile("\n" * (line - 1) + content, str(page), "exec")
        exec(code, namespace)


def _example_material(folder):
    """The small model and the images that pages speak of, as files and as arrays."""
    keras.utils.set_random_seed(0)
    model = kerasft.models.cifar10_cnn((8, 8, 3), classes=2)
    model.save(folder / "model.keras")
    paths = [f"{name}/{number}.png" for name in ("cat", "dog") for number in range(20)]
    generator = np.random.default_rng(0)
    clean = generator.integers(0, 256, (len(paths), 8, 8, 3), dtype="uint8")
    distorted = kerasft.additive_white_gaussian_noise(clean, 15, seed=0)
    kerasft.datasets.save_image_folder(folder / "photos", clean, paths)
    for name in ("noisy_photos", "noisy_validation_photos", "noisy_test_photos"):
        kerasft.datasets.save_image_folder(folder / name, distorted, paths)
    labels = np.repeat([0, 1], 20)
    return {"model": model, "clean": clean, "distorted": distorted, "labels": labels}


@pytest.mark.parametrize("label", COMMANDS)
def test_command_is_right(label, monkeypatch):
    words = COMMANDS[label]
    if words[0] == "kerasft":
        assert _parse(words[1:], monkeypatch)
    elif words[0] == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        for target in (word for word in words[1:] if "=" not in word):
            assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target
    elif pathlib.PurePath(words[0]).name == "python":
        script = (ROOT / words[1]).read_text(encoding="utf-8")
        for word in words[2:]:
            if word.startswith("--"):
                assert f'"{word.partition("=")[0]}"' in script, word
    else:
        assert words == ["pip", "install", "."]


def _parse(arguments, monkeypatch):
    """The commands that `kerasft` would run; nothing is run."""
    called = []
    monkeypatch.setattr(
        kerasft_cli.running, "run", lambda command, **options: called.append(command)
    )
    kerasft_cli.command.cli.main(list(arguments), prog_name="kerasft", standalone_mode=False)
    return called


def test_wrong_command_is_noticed(monkeypatch):
    with pytest.raises(click.UsageError):
        _parse(["robustify", "model.keras", "--clear", "photos"], monkeypatch)


ROOMS = ("criteria", "datasets", "distortions", "methods", "models", "report")


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_need_no_import_of_their_own(room):
    # By way of the function, as another test may have imported the room.
    assert kerasft.__getattr__(room).__name__ == f"kerasft.{room}"
    assert room in kerasft.__all__


def test_all_public_names_are_on_the_api_page():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    names = {f"kerasft.{name}" for name in kerasft.__all__}
    for room in ("datasets", "models"):
        names |= {f"kerasft.{room}.{name}" for name in getattr(kerasft, room).__all__}
    # Rooms are shown by what is in them.
    names -= {"kerasft.__version__", *(f"kerasft.{room}" for room in ROOMS)}
    assert sorted(re.findall(r"heading: (\S+)", text)) == sorted(names)


def test_examples_are_found():
    assert {"README.md", "index.md", "practitioner.md"} <= {page.name for page in PYTHON_PAGES}
    assert any(words[0] == "kerasft" for words in COMMANDS.values())
    assert "kerasft.finetuning.fine_tune" in DOCTESTS


def test_the_tables_of_the_readme_are_those_of_the_results():
    script = ROOT / "scripts" / "readme_results.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
