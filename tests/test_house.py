"""The house rules of docs/architecture.md, held by reading the source."""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import pytest

import pixseek
from pixseek import errors
from pixseek.cli import EXIT_CODES
from pixseek.cli.parser import build_parser
from pixseek.metadata import FIELDS
from pixseek.settings import Settings
from pixseek.stores.filters import JUNCTIONS, OPERATORS

PACKAGE = Path(pixseek.__file__).parent
ROOT = PACKAGE.parent.parent

ROOMS = tuple(
    """
    errors records settings moments formats lock database ignoring files suspects colours reader
    urls metadata stills video frames isolation encoders inventory words stores ranking given
    sidecars manifest places library query saved overview sync workers thumbnails exporting indexing
    describing switching moving collection care opening engine evaluating watching alike clusters
    web client mcp cli langchain
    """.split()  # noqa: SIM905  one a line would be a page
)
"""As the table in docs/architecture.md has them: each may import those before it."""
FACES = {
    # What looks after a library, after models, or after stores has no part in searching.
    # `pixseek serve` and `pixseek mcp` start other faces.
    "cli": {
        *("cli", "care", "engine", "errors", "inventory", "moving", "records", "settings"),
        *("watching", "web", "mcp", "exporting", "saved", "evaluating", "alike", "clusters"),
    },
    "mcp": {"mcp", "engine", "errors", "records"},
    "client": {"client", "errors", "records"},
    "web": {
        *("web", "care", "collection", "engine", "errors", "inventory", "records", "settings"),
        *("alike", "clusters", "saved", "formats"),
    },
    # Documents have ids, and no folders to keep in step: `collection` is what the engine gives out
    # for such things (`open_items`, `ImageSearchEngine.items`), and its nouns are needed to say so.
    "langchain": {"langchain", "collection", "engine", "errors", "records", "settings"},
}
SEE_SETTINGS = {"settings", "inventory", "opening", "engine", *FACES} - {"client", "mcp"}
OWN_PROCESS = {"pixseek.isolation.child"}
"""What only ever runs in a process that it is the whole of."""
HEAVY = {"numpy", "PIL", "onnxruntime", "tokenizers", "simsimd", "tqdm", "torch", "huggingface_hub"}
HEAVY |= {"langchain_core", "pydantic", "chromadb", "watchfiles", "anyio", "fastapi", "starlette"}
HEAVY |= {"uvicorn", "httpx", "mcp", "prometheus_client"}
NOT_ROOMS = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
INSTRUCTION = re.compile(
    r"\b(check|choose|correct|divide|encode|fetch|index|install|leave|name|open|reinstall|restore|search"
    r"|see|switch|upgrade|wait)\b",
    re.IGNORECASE,
)
"""What a message tells people to do."""


@dataclass(frozen=True)
class Module:
    """One file of the package."""

    path: Path
    name: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """'encoders' of pixseek.encoders.pocket; '' of the package itself."""
        return self.name.partition(".")[2].partition(".")[0]

    def imports(self) -> Iterator[str]:
        """Every module that is imported, anywhere in the file, by its full name."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{self.name} imports by a relative name"
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def rooms_used(self) -> set[str]:
        found = {name.split(".")[1] for name in self.imports() if name.startswith("pixseek.")}
        return {name for name in found if not name.startswith("__")}


def _modules() -> dict[str, Module]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        found[name] = Module(path, name, ast.parse(path.read_text()))
    return found


MODULES = _modules()
ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.PixseekError)
}


@cache
def documentation() -> str:
    """README and all of docs in one text."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return "\n".join(page.read_text() for page in pages)


def documented(word: str) -> bool:
    """Whether the docs have the word whole: `--no` is not in `--no-sync`."""
    return bool(re.search(rf"(?<![\w$-]){re.escape(word)}(?![\w-])", documentation()))


# directions


def test_every_module_is_in_a_room_of_the_drawn_house() -> None:
    rooms = {module.room for module in MODULES.values()}
    assert rooms - {"", "__main__"} == set(ROOMS)


def test_every_room_is_drawn_in_the_architecture() -> None:
    drawn = (ROOT / "docs" / "architecture.md").read_text()
    assert [room for room in ROOMS if f"`{room}" not in drawn] == []


@pytest.mark.parametrize("name", [name for name in MODULES if name.count(".")])
def test_a_room_imports_only_from_rooms_above_it(name: str) -> None:
    module = MODULES[name]
    if module.room == "__main__":
        allowed = {"cli"}
    elif module.room in FACES:
        allowed = FACES[module.room]
    else:
        allowed = set(ROOMS[: ROOMS.index(module.room) + 1])
    assert module.rooms_used() - allowed == set()


def test_the_imports_that_are_held_to_this_are_really_found() -> None:
    assert MODULES["pixseek.engine"].rooms_used() >= {"encoders", "stores", "indexing", "settings"}
    assert "pixseek.errors.root.PixseekError" in MODULES["pixseek"].imports()
    assert "tokenizers.Tokenizer" in MODULES["pixseek.encoders.pocket"].imports()


def test_encoders_and_stores_never_know_each_other() -> None:
    for module in MODULES.values():
        if module.room == "encoders":
            assert "stores" not in module.rooms_used()
        if module.room == "stores":
            assert "encoders" not in module.rooms_used()


def test_only_engine_inventory_and_faces_see_settings() -> None:
    seeing = {m.room for m in MODULES.values() if "settings" in m.rooms_used()}
    assert seeing <= SEE_SETTINGS
    assert "engine" in seeing


def test_nobody_imports_a_face() -> None:
    for module in MODULES.values():
        if module.room not in {*FACES, "__main__"}:
            assert not module.rooms_used() & set(FACES)


# weight


def _loaded(code: str) -> set[str]:
    """The packages that are loaded after some code has run in a fresh interpreter."""
    shown = "\nimport sys as s; print('\\n'.join({n.partition('.')[0] for n in s.modules}))"
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n{code}{shown}",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(run.stdout.splitlines())


@pytest.mark.parametrize(
    "arguments", [None, ["--help"], ["search", "--help"], ["index", "--help"], ["--version"]]
)
def test_importing_and_asking_for_help_load_nothing_heavy(arguments: list[str] | None) -> None:
    code = "import pixseek"
    if arguments is not None:
        code = (
            "import contextlib, io, pixseek.cli\n"
            "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
            f"    pixseek.cli.main({arguments!r})"
        )
    loaded = _loaded(code)
    assert "pixseek" in loaded
    assert loaded & HEAVY == set()


def test_every_public_name_can_be_imported_and_is_light() -> None:
    everything = f"from pixseek import {', '.join(pixseek.__all__)}\nassert ImageSearchEngine"
    assert _loaded(everything) & HEAVY == set()


def test_the_public_names_are_those_that_are_loaded_on_use() -> None:
    homes: dict[str, str] = vars(pixseek)["_HOMES"]
    assert sorted(pixseek.__all__) == sorted([*homes, "__version__"])
    assert dir(pixseek) == sorted(pixseek.__all__)
    for name, home in homes.items():
        assert getattr(pixseek, name).__module__ == home
    typed = {
        alias.name
        for node in MODULES["pixseek"].tree.body
        if isinstance(node, ast.If)
        for statement in node.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert typed == set(homes)
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        getattr(pixseek, "no_such_name")  # noqa: B009  what a type checker would refuse


# errors


def test_every_error_has_an_exit_code_and_every_exit_code_an_error() -> None:
    assert set(EXIT_CODES) == set(ERRORS.values())
    assert all(0 < code < 126 for code in EXIT_CODES.values())


def test_every_error_in_the_source_is_in_the_one_tree() -> None:
    for module in MODULES.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and module.room != "errors":
                bases = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
                assert not bases & {*ERRORS, "Exception", "BaseException"}, node.name


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_class_says_what_it_is_for(name: str) -> None:
    assert len((ERRORS[name].__doc__ or "").split()) > 3


def _templates() -> list[str]:
    return [name for name, kind in ERRORS.items() if "__init__" in vars(kind)]


@pytest.mark.parametrize("name", _templates())
def test_an_error_message_has_the_values_and_says_what_to_do(name: str) -> None:
    kind = ERRORS[name]
    given: dict[str, object] = {}
    parameters = inspect.signature(kind).parameters.values()
    needed = [one.name for one in parameters if one.default is one.empty]
    for number, parameter in enumerate(parameters):
        annotation = str(parameter.annotation)
        if annotation == "int":
            given[parameter.name] = 90 + number
        elif annotation.startswith("Sequence"):
            given[parameter.name] = [f"value{number}", f"another{number}"]
        else:
            given[parameter.name] = f"value{number}"
    error = kind(**given)
    for value in given.values():
        for one in value if isinstance(value, list) else [value]:
            assert str(one) in str(error)
    for field in needed:
        kept = getattr(error, field)
        assert (list(kept) if isinstance(kept, tuple) else kept) == given[field]
    assert INSTRUCTION.search(str(error)), f"what should people do now? {error}"


def _written_out() -> list[tuple[str, str]]:
    """(where, message) of every error that is raised with a message of its own."""
    free = set(ERRORS) - set(_templates())
    found = []
    for module in MODULES.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in free:
                where = f"{module.name}:{node.lineno}"
                found.append((where, ast.unparse(node.args[0]) if node.args else ""))
    return found


@pytest.mark.parametrize(("where", "message"), _written_out())
def test_a_message_written_where_it_is_raised_says_what_was_expected(
    where: str, message: str
) -> None:
    assert "expected" in message or INSTRUCTION.search(message), f"{where}: {message}"


def test_messages_written_where_they_are_raised_are_found() -> None:
    assert len(_written_out()) >= 5


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_class_occurs_in_a_test_or_in_the_documentation(name: str) -> None:
    tests = [path for path in (ROOT / "tests").glob("*.py") if path != Path(__file__)]
    texts = [documentation(), *(path.read_text() for path in tests)]
    assert any(re.search(rf"\b{name}\b", text) for text in texts)


# size and manners


@pytest.mark.parametrize("name", MODULES)
def test_a_file_fits_its_room(name: str) -> None:
    module = MODULES[name]
    assert len(module.path.read_text().splitlines()) <= 450
    assert set(name.split(".")) & NOT_ROOMS == set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name


@pytest.mark.parametrize("name", MODULES)
def test_a_module_begins_with_what_it_is_for(name: str) -> None:
    assert len((ast.get_docstring(MODULES[name].tree) or "").split()) > 3


def _calls(module: Module) -> set[str]:
    return {ast.unparse(n.func) for n in ast.walk(module.tree) if isinstance(n, ast.Call)}


def test_only_faces_print_or_end_the_process() -> None:
    ends = {"print", "sys.exit", "exit", "quit", "os._exit", "sys.stdout.write", "sys.stderr.write"}
    for module in MODULES.values():
        raised = {ast.unparse(n) for n in ast.walk(module.tree) if isinstance(n, ast.Raise)}
        if module.room not in {*FACES, "__main__"} and module.name not in OWN_PROCESS:
            assert _calls(module) & ends == set(), module.name
        assert not any("SystemExit" in one for one in raised), module.name
        assert module.name == "pixseek.__main__" or "sys.exit" not in _calls(module)
    assert "print" in _calls(MODULES["pixseek.cli.output"])


def test_rooms_change_nothing_for_the_whole_process() -> None:
    switches = {"warnings.filterwarnings", "warnings.simplefilter", "os.chdir", "os.putenv"}
    for module in MODULES.values():
        if module.room not in FACES:
            assert _calls(module) & switches == set(), module.name
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Assign) and module.room not in FACES:
                targets = {ast.unparse(target) for target in node.targets}
                if module.name in OWN_PROCESS:
                    targets.discard("Image.MAX_IMAGE_PIXELS")
                assert "Image.MAX_IMAGE_PIXELS" not in targets
            assert not isinstance(node, ast.Assert), f"{module.name} asserts"


def test_no_handler_takes_every_exception_unless_it_raises_again() -> None:
    for module in MODULES.values():
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = "" if node.type is None else ast.unparse(node.type)
            if caught in {"", "Exception", "BaseException"}:
                last = node.body[-1]
                assert isinstance(last, ast.Raise), f"{module.name}:{node.lineno}"


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


# documentation


def _arguments() -> list[str]:
    """Every command and every option of it, as they are typed."""
    parsers: list[argparse.ArgumentParser] = [build_parser()]
    found: list[str] = []
    for parser in parsers:
        for action in parser._actions:
            found += action.option_strings
            if isinstance(action, argparse._SubParsersAction):
                found += [f"{parser.prog} {name}" for name in action.choices]
                parsers += action.choices.values()
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("argument", _arguments())
def test_every_command_and_option_is_documented(argument: str) -> None:
    assert documented(argument)


@pytest.mark.parametrize("name", [one.name for one in fields(Settings)])
def test_every_setting_is_documented_with_its_variable(name: str) -> None:
    assert documented(f"`{name}`")
    assert documented(f"PIXSEEK_{name.upper()}")


@pytest.mark.parametrize("operator", [*OPERATORS, *JUNCTIONS])
def test_every_filter_operator_is_documented(operator: str) -> None:
    assert documented(f"`{operator}`")


@pytest.mark.parametrize("name", FIELDS)
def test_every_metadata_field_is_documented(name: str) -> None:
    assert documented(f"`{name}`")


def test_what_is_not_documented_would_be_noticed() -> None:
    assert not documented("--no-such-option")
    assert not documented("--no")
