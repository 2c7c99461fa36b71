"""README.md and docs/*.md, executed: Python blocks run, console blocks print what they show.

Each page gets a home of its own with a copy of the sample photos in `photos` and in `Pictures`,
works there, and runs its blocks in order: Python blocks in one namespace, commands in one shell
each. In console blocks, commands are the lines that begin with `$ `; of these the ones that call
`pixseek` or `python` run, others (pip, make) do not. When output is shown below a command, all of
it is compared: `...` stands for anything, white space counts as one blank, numbers with two or more
decimals (scores) may differ by 0.01, and the home is printed as /home/you. A block below the
comment `<!-- not run: reason -->` is left out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import pixseek

SOURCE = Path(pixseek.__file__).parent.parent
ROOT = SOURCE.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
HOME_SHOWN = "/home/you"
SCORE_TOLERANCE = 0.01

_BLOCK = re.compile(
    r"(?:^<!-- not run:(?P<reason>[^\n]*)-->\n+)?"
    r"^```(?P<language>python|console)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_COMMAND = re.compile(r"(?:^|[|;&(]\s*)(?:\w+=\S*\s+)*(?:pixseek|python)\s(?!-m (?:pip|venv))")
_SCORE = re.compile(r"(?<![\w.])-?\d+\.\d\d+(?![\w.])")


@dataclass(frozen=True)
class Block:
    """One fenced block; `line` is where its text begins in the page, counted from 1."""

    page: Path
    line: int
    language: str
    text: str
    left_out: str | None
    """Why it is not run."""

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command of a console block, and the output shown below it ('' when none is)."""

    line: int
    text: str
    output: str


def blocks(page: Path, text: str) -> Iterator[Block]:
    """The python and console blocks of a page, in order."""
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("text")) + 1
        reason = match["reason"]
        yield Block(
            page, line, match["language"], match["text"], None if reason is None else reason.strip()
        )


def commands(block: Block) -> Iterator[Command]:
    r"""The commands of a console block; a line that ends with \ goes on below."""
    text = re.sub(r"\\\n", lambda _: "\0", block.text)
    lines = iter(enumerate(text.splitlines(), block.line))
    found: list[tuple[int, str, list[str]]] = []
    skipped = 0
    for number, line in lines:
        if line.startswith("$ "):
            found.append((number + skipped, line.removeprefix("$ ").replace("\0", " "), []))
        elif found:
            found[-1][2].append(line)
        else:
            raise ValueError(f"{block.where}: begins with output; expected a line with '$ '")
        skipped += line.count("\0")
    for number, command, output in found:
        yield Command(number, command, "\n".join(output).strip())


def difference(expected: str, printed: str) -> str | None:
    """What does not agree between the output shown and the output printed; None when all does."""
    words = expected.split()
    pattern = "".join("(?: .*?)?" if word == "..." else " " + _pattern(word) for word in words)
    match = re.fullmatch(pattern, "".join(f" {word}" for word in printed.split()))
    if match is None:
        return "the words differ"
    for shown, now in zip(_SCORE.findall(expected), match.groups(), strict=True):
        if abs(float(shown) - float(now)) > SCORE_TOLERANCE + 1e-9:
            return f"{shown} is shown and {now} was printed"
    return None


def _pattern(word: str) -> str:
    """A regular expression for a word, with a group for each score in it."""
    texts = [re.escape(text).replace(r"\.\.\.", ".*?") for text in _SCORE.split(word)]
    return r"(-?\d+\.\d+)".join(texts)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with photos, and a PATH with `pixseek` and `python`; the working directory."""
    made = tmp_path / "home"
    for name in ("photos", "Pictures"):
        shutil.copytree(ROOT / "samples", made / name)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, call in (("pixseek", f'"{sys.executable}" -m pixseek'), ("python", sys.executable)):
        shim = programs / name
        shim.write_text(f'#!/bin/sh\nexec {call} "$@"\n')
        shim.chmod(0o755)
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(made))
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(SOURCE), prepend=os.pathsep)
    monkeypatch.chdir(made)
    return made


def run_python(block: Block, namespace: dict[str, object]) -> None:
    """Its lines are numbered as in the page, so that a failure points there."""
    lines = "\n" * (block.line - 1) + block.text
    exec(compile(lines, str(block.page), "exec"), namespace)


def run_console(block: Block, home: Path) -> None:
    """Each command in a shell; where it is shown to fail, its output has a line of pixseek's."""
    for command in commands(block):
        if not _COMMAND.search(command.text):
            continue
        where = f"{block.page.relative_to(ROOT)}:{command.line}: $ {command.text}"
        done = subprocess.run(
            ["/bin/sh", "-c", command.text],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        printed = done.stdout.replace(str(home), HOME_SHOWN)
        fails = re.search(r"^(pixseek|usage): ", command.output, re.MULTILINE)
        assert done.returncode == 0 or fails, f"{where}\nexit code {done.returncode}\n{printed}"
        if command.output:
            wrong = difference(command.output, printed)
            assert wrong is None, f"{where}\n{wrong}; printed was:\n{printed}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_a_page_does_what_it_shows(page: Path, home: Path) -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page, page.read_text()):
        if block.left_out is not None:
            sys.stdout.write(f"left out: {block.where}: {block.left_out}\n")  # pytest -rP lists it
        elif block.language == "python":
            run_python(block, namespace)
        else:
            run_console(block, home)


def test_the_readme_has_at_least_three_blocks_of_which_both_kinds_run() -> None:
    text = PAGES[0].read_text()
    assert len(re.findall(r"^```\w*$", text, re.MULTILINE)) >= 3 * 2
    run = {block.language for block in blocks(PAGES[0], text) if block.left_out is None}
    assert run == {"python", "console"}


def test_a_block_is_left_out_only_with_a_reason() -> None:
    for page in PAGES:
        found = list(blocks(page, page.read_text()))
        assert [block.where for block in found if block.left_out == ""] == []
        assert page.read_text().count("<!-- not run:") == sum(
            block.left_out is not None for block in found
        ), f"{page.name}: a 'not run' comment must stand right above its block"


# the harness itself


def _block(text: str, language: str = "console") -> Block:
    return Block(PAGES[0], 1, language, text, None)


def test_blocks_are_found_with_their_lines_and_reasons() -> None:
    page = (
        "# Title\n\n```python\nx = 1\n```\n\n<!-- not run: slow -->\n```console\n$ pixseek\n```\n\n"
        "```text\nx\n```\n"
    )
    assert [(b.line, b.language, b.text, b.left_out) for b in blocks(PAGES[0], page)] == [
        (4, "python", "x = 1\n", None),
        (9, "console", "$ pixseek\n", "slow"),
    ]


def test_commands_are_taken_apart_from_their_output() -> None:
    block = _block(
        "$ pixseek search \\\n    red\nout\n\nmore\n$ make demo\n$ A=1 pixseek x | head\n"
    )
    assert [(c.line, c.text, c.output) for c in commands(block)] == [
        (1, "pixseek search      red", "out\n\nmore"),
        (6, "make demo", ""),
        (7, "A=1 pixseek x | head", ""),
    ]
    with pytest.raises(ValueError, match="begins with output"):
        list(commands(_block("out\n$ pixseek x\n")))


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        ("pixseek status", True),
        ("PIXSEEK_LIBRARY=x pixseek status", True),
        ("ls photos | pixseek status", True),
        ("python -c 'import pixseek'", True),
        ("pip install pixseek", False),
        ("python -m pip install pixseek", False),
        ("make demo", False),
        ("git clone pixseek", False),
    ],
)
def test_only_commands_that_call_pixseek_or_python_run(command: str, runs: bool) -> None:
    assert bool(_COMMAND.search(command)) == runs


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("red  blue", "red blue\n"),
        ("0.42  a.jpg", " 0.416  a.jpg"),
        ("...", ""),
        ("...", "anything\nat all"),
        ("head\n...", "head"),
        ("head\n... x.jpg\n...", "head\n 0.1 x.jpg\n 0.2 y.jpg"),
        ("0.50 ... x.jpg", "0.497 2023-01-01 x.jpg"),
        ("in 0.1 s (a.b)", "in 0.1 s (a.b)"),
        ("-0.10", "-0.104"),
        (".../photo-1.jpg", "/home/a b/photo-1.jpg"),
    ],
)
def test_output_agrees_with_what_is_shown(expected: str, printed: str) -> None:
    assert difference(expected, printed) is None


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("red blue", "redblue"),
        ("red", "red\nblue"),
        ("0.42  a.jpg", "0.44  a.jpg"),
        ("0.42  a.jpg", "-0.42  a.jpg"),
        ("0.42  a.jpg", "0.42  aXjpg"),
        ("0.1 s", "0.2 s"),
        ("... x.jpg", "y.jpg"),
        ("head ...", "header"),
        ("1.20.3", "1.21.3"),
    ],
)
def test_output_that_differs_is_noticed(expected: str, printed: str) -> None:
    assert difference(expected, printed) is not None


def test_a_wrong_block_fails_and_names_its_line(home: Path) -> None:
    with pytest.raises(AssertionError, match=r"README\.md:2: \$ pixseek --version"):
        run_console(_block("$ make demo\n$ pixseek --version\npixseek 99\n"), home)
    with pytest.raises(AssertionError, match="exit code 4"):
        run_console(_block("$ pixseek status\n"), home)
    run_console(_block("$ pixseek status\npixseek: there is no library at '/home/you/...\n"), home)
    with pytest.raises(ZeroDivisionError):
        run_python(_block("1 / 0\n", "python"), {})
