"""The models there are: the rule that chooses, what is here, how fast it is."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import close_session

pytest.register_assert_rewrite("tests.hub_server")

from tests import reference_models  # noqa: E402
from tests.hub_server import Hub, serving  # noqa: E402

from pixseek import ImageSearchEngine, cli, inventory, settings  # noqa: E402  # after the line above
from pixseek.cli import EXIT_CODES  # noqa: E402
from pixseek.cli.progress import FetchBar  # noqa: E402
from pixseek.encoders import RUNTIMES, Runtime, choice, hub  # noqa: E402
from pixseek.encoders.catalog import MODELS, Model, Quality  # noqa: E402
from pixseek.encoders.choice import ENOUGH_IMAGES_PER_S, MOST_WORK, best  # noqa: E402
from pixseek.errors import ModelNotFetched, UnknownModel  # noqa: E402
from pixseek.records import Fetch  # noqa: E402

TINY = {
    "visual/model.onnx": b"image" * 100,
    "textual/model.onnx": b"text" * 100,
    "textual/tokenizer.json": b"{}",
}
SAMPLES = Path(__file__).parent.parent / "samples"
SLOW, FAST = ENOUGH_IMAGES_PER_S / 2, ENOUGH_IMAGES_PER_S * 2


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "MEASURED_S", 0.01)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """run("models"): one command in this process; its code, and what it printed on out and err."""

    def run_one(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main([str(one) for one in arguments])
        return code, *capsys.readouterr()

    return run_one


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that has what the catalog says, of files that take no time."""
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setitem(RUNTIMES, "onnx", Runtime("tests.fetched_palette"))
        for model in list(MODELS.values()):
            if model.runtime == "onnx":
                hub.commit(model.source, TINY)
                monkeypatch.setitem(MODELS, model.name, replace(model, revision="main", sha256=()))
        yield hub
    close_session()


def a_model(name: str, coco_r1: float | None = 40.0, **fields: object) -> Model:
    base = Model(name, "CLIP", "onnx", "MIT", "English", "", work=1.0, megabytes=100)
    return replace(base, quality=Quality(coco_r1), **fields)  # type: ignore[arg-type]


def best_name(*models: Model, **speeds: float) -> str | None:
    found = best(models, {name.replace("_", "-"): speed for name, speed in speeds.items()})
    return None if found is None else found.name


# the rule


def test_the_better_model_is_chosen() -> None:
    assert best_name(a_model("a", 40), a_model("b", 50), a_model("c", 45)) == "b"


def test_a_licence_that_is_not_permissive_rules_a_model_out() -> None:
    assert best_name(a_model("a", 40), a_model("b", 50, licence="apple-amlr")) == "a"
    assert best_name(a_model("b", 50, licence="see its source")) is None


def test_a_model_that_needs_an_extra_or_has_no_figure_is_not_chosen() -> None:
    assert best_name(a_model("a", 50, runtime="open_clip"), a_model("b", None)) is None


def test_of_two_as_good_the_smaller_download_is_chosen() -> None:
    assert best_name(a_model("a", megabytes=900), a_model("b", megabytes=800)) == "b"


def test_a_model_that_was_measured_too_slow_is_not_chosen() -> None:
    assert best_name(a_model("a", 40), a_model("b", 50), b=SLOW) == "a"
    assert best_name(a_model("a", 40), a_model("b", 50), b=FAST) == "b"
    assert best_name(a_model("b", 50), b=SLOW) is None


def test_what_was_not_measured_is_judged_by_its_work() -> None:
    assert best_name(a_model("a", work=MOST_WORK)) == "a"
    assert best_name(a_model("a", work=MOST_WORK + 1)) is None
    assert best_name(a_model("a", work=None)) is None


def test_or_by_what_was_measured_of_a_model_of_known_work() -> None:
    work = MODELS["siglip2-b-16"].work
    assert work is not None
    assert best_name(a_model("a", work=work * 1.1), siglip2_b_16=SLOW) is None
    assert best_name(a_model("a", work=work / 3), siglip2_b_16=SLOW) == "a"
    assert best_name(a_model("a", work=work * 20), siglip2_b_16=FAST * 20) == "a"
    assert best_name(a_model("a"), pocket=SLOW, palette=SLOW, no_longer_known=SLOW) == "a"


def test_the_catalog_recommends_what_its_figures_say() -> None:
    assert best_name(*MODELS.values()) == "siglip2-b-16"
    assert best_name(*MODELS.values(), siglip2_b_16=SLOW) == "siglip2-b-32"
    assert best_name(*MODELS.values(), siglip2_b_16=0.001) is None
    assert best_name(MODELS["palette"], MODELS["pocket"]) is None


# the catalog


def test_every_model_to_fetch_says_what_the_rule_and_the_table_need() -> None:
    for model in MODELS.values():
        if model.source:
            assert model.megabytes, model.name
            assert model.work, model.name
            assert model.dimensions, model.name
            assert model.quality.source or model.quality == Quality(), model.name


def test_every_checksum_has_the_form_of_one_and_belongs_to_a_model() -> None:
    from pixseek.encoders.pins import PINS

    assert PINS.keys() <= MODELS.keys()
    for name, (revision, files) in PINS.items():
        assert revision == "main" or len(bytes.fromhex(revision)) == 20, name
        assert MODELS[name].revision == revision
        assert dict(MODELS[name].sha256) == files
        for path, hash in files.items():
            assert len(bytes.fromhex(hash)) == 32, path


# what a new library gets


def test_a_new_library_gets_pocket_when_nothing_was_fetched(tmp_path: Path) -> None:
    assert inventory.default_model(settings.Settings()) == "pocket"
    with ImageSearchEngine(tmp_path / "library") as engine:
        assert engine.is_new
        assert engine.encoder.space.model == "pocket"
    with ImageSearchEngine(tmp_path / "library") as engine:
        assert not engine.is_new


def test_a_new_library_gets_the_best_model_that_is_here(server: Hub) -> None:
    found = settings.Settings()
    for name, expected in (
        ("clip-vit-b-32", "clip-vit-b-32"),
        ("mobileclip-s0", "clip-vit-b-32"),
        ("siglip2-b-32", "siglip2-b-32"),
        ("openclip-vit-b-32", "siglip2-b-32"),
    ):
        if name == "mobileclip-s0":
            server.commit(MODELS[name].source, {
                "onnx/vision_model.onnx": b"x", "onnx/text_model.onnx": b"x",
                "tokenizer.json": b"{}",
            })  # fmt: skip
        inventory.pull(name, found)
        assert inventory.default_model(found) == expected
    assert inventory.default_model(settings.Settings(model="palette")) == "palette"
    listed = {one.model.name: one for one in inventory.entries(found)}
    assert [name for name, one in listed.items() if one.default] == ["siglip2-b-32"]
    assert [name for name, one in listed.items() if one.recommended] == ["siglip2-b-16"]
    here = {name for name, one in listed.items() if one.here}
    assert here == {
        "pocket", "palette", "clip-vit-b-32", "mobileclip-s0", "siglip2-b-32", "openclip-vit-b-32"
    }  # fmt: skip


def test_a_model_that_is_named_for_a_new_library_is_fetched_when_it_is_made(
    server: Hub, tmp_path: Path
) -> None:
    seen: list[Fetch] = []
    with ImageSearchEngine(tmp_path / "a", model="clip-vit-b-32", on_fetch=seen.append) as engine:
        assert engine.search_by_text("red") == []
    assert seen[-1].done == seen[-1].total > 0
    named = settings.Settings(model="siglip2-b-32")
    with ImageSearchEngine(tmp_path / "b", options=named) as engine:
        assert engine.encoder.space.model == "siglip2-b-32"
    server.requests.clear()
    offline = settings.Settings(model="siglip2-b-16", offline=True)
    with pytest.raises(ModelNotFetched, match="setting offline"):
        ImageSearchEngine(tmp_path / "c", options=offline)
    with ImageSearchEngine(tmp_path / "c", options=settings.Settings(offline=True)) as engine:
        assert engine.encoder.space.model == "siglip2-b-32"
    assert server.requests == []


def test_a_search_never_fetches_and_a_switch_does(server: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    with ImageSearchEngine(folder, model="clip-vit-b-32"):
        pass
    shutil.rmtree(hub.cache() / "models")
    server.requests.clear()
    with ImageSearchEngine(folder) as engine:
        with pytest.raises(ModelNotFetched, match=r"has not been fetched.*pull clip-vit-b-32"):
            engine.search_by_text("red")
        assert server.requests == []
        seen: list[Fetch] = []
        assert engine.switch_model("siglip2-b-32", on_fetch=seen.append).switched
        assert {one.model for one in seen} == {"siglip2-b-32"}
        assert engine.search_by_text("red") == []


# fetching


def test_pull_gives_the_folder_and_none_for_what_is_part_of_the_package(server: Hub) -> None:
    found = settings.Settings()
    folder = inventory.pull("clip-vit-b-16", found)
    assert folder is not None
    assert (folder / "SHA256SUMS").is_file()
    assert inventory.pull("pocket", found) is None
    assert inventory.pull(str(folder), found) == folder
    with pytest.raises(UnknownModel, match="clipp"):
        inventory.pull("clipp", found)
    assert len(server.asked()) == 4


# speed


def test_a_speed_is_measured_once_and_remembered(own_home: Path) -> None:
    found = settings.Settings(workers=1)
    assert inventory.measurable(found) == ["pocket"]
    assert {one.speed for one in inventory.entries(found)} == {None}
    speed = inventory.measure("palette", found)
    assert speed.images_per_s > 0
    assert speed.threads == 1
    listed = {one.model.name: one.speed for one in inventory.entries(found)}
    assert listed["palette"] == speed
    file = own_home / "cache" / "pixseek" / "speeds.json"
    assert json.loads(file.read_text())["palette"]["images_per_s"] == speed.images_per_s
    for damage in (
        "{",
        '{"palette": 1}',
        '{"palette": {"speed": 1}}',
        '{"palette": {"images_per_s": "x", "threads": 1, "runs_on": "", "measured": ""}}',
    ):
        file.write_text(damage)
        assert {one.speed for one in inventory.entries(found)} == {None}


def test_what_was_measured_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "ENOUGH_IMAGES_PER_S", 1e9)
    assert inventory.recommended_model().name == "siglip2-b-16"
    inventory.measure("palette", settings.Settings(workers=1))
    assert inventory.recommended_model().name == "siglip2-b-16"


def test_what_models_run_on_is_said() -> None:
    assert inventory.runs_on(settings.Settings()).startswith("ONNX Runtime ")
    assert " on " in inventory.runs_on(settings.Settings())


# the command line


def test_the_table_fits_a_hundred_columns_and_marks_what_to_have(server: Hub, run: Run) -> None:
    run("models", "pull", "clip-vit-b-32")
    code, out, _ = run("models")
    lines = out.splitlines()
    assert code == 0
    assert max(map(len, lines)) <= 100
    rows = {line.split()[0]: line for line in lines if line.split()}
    assert "30.4" in rows["clip-vit-b-32"]
    assert rows["clip-vit-b-32"].endswith("  default")
    assert rows["siglip2-b-16"].endswith("  recommended")
    assert rows["mobileclip2-s0"].endswith("  extra open_clip")
    assert "apple-amlr" in rows["mobileclip-s2"]
    assert "Runs on: ONNX Runtime" in out
    assert "Recommended: pixseek switch siglip2-b-16" in out
    assert run("models", "list")[1] == out
    assert len(server.asked()) == 4


def test_json_has_all_that_is_known_of_each_model(run: Run) -> None:
    rows = {row["name"]: row for row in json.loads(run("models", "--json")[1])}
    assert list(rows) == list(MODELS)
    row = rows["siglip2-b-32"]
    assert (row["source"], row["quality"]["coco_r1"]) == (MODELS["siglip2-b-32"].source, 47.2)
    assert (row["here"], row["folder"], row["speed"], row["extra"]) == (False, None, None, None)
    assert rows["pocket"]["default"]
    assert json.loads(run("models", "list", "--json")[1]) == list(rows.values())
    assert json.loads(run("models", "--json", "list")[1]) == list(rows.values())


@pytest.mark.usefixtures("server")
def test_bench_measures_and_later_lists_show_it(run: Run) -> None:
    code, out, err = run("models", "--bench", "palette")
    assert (code, err) == (0, "pixseek: measuring palette\n")
    (row,) = [line for line in out.splitlines() if line.startswith("palette")]
    assert row.split()[-2] != "-"
    assert row in run("models")[1]
    assert run("models", "--bench", "clipp")[0] == EXIT_CODES[UnknownModel]
    assert run("models", "list", "--bench", "siglip2-b-16")[0] == EXIT_CODES[ModelNotFetched]


def test_pull_says_what_it_fetches_and_where_it_is(server: Hub, run: Run) -> None:
    code, out, err = run("models", "pull", "clip-vit-b-32", "--quiet")
    folder = hub.kept_in(MODELS["clip-vit-b-32"], inventory.options(settings.Settings()))
    assert (code, out) == (0, f"clip-vit-b-32 is here, whole: {folder}\n")
    host = server.url.removeprefix("http://")
    assert err == (
        f"pixseek: fetching clip-vit-b-32 (0 MB) from immich-app/ViT-B-32__openai at {host}\n"
    )
    assert run("models", "pull", "clip-vit-b-32") == (0, out, "")
    server.commit(MODELS["clip-vit-b-32"].source, TINY | {"config.json": b"{}"})
    assert run("models", "pull", "clip-vit-b-32")[0] == 0
    assert not (folder / "config.json").exists()
    assert run("models", "pull", "clip-vit-b-32", "--upgrade")[0] == 0
    assert (folder / "config.json").exists()
    assert run("models", "pull", "pocket")[1] == "pocket is here, whole: part of pixseek\n"
    code, _, err = run("models", "pull", "siglip2-b-16", "--offline")
    assert code == EXIT_CODES[ModelNotFetched]
    assert "nothing may be fetched (setting offline)" in err


def test_index_and_switch_fetch_the_model_they_name(server: Hub, run: Run, photos: Path) -> None:
    code, _, err = run("index", photos, "--model", "clip-vit-b-32", "--offline")
    assert code == EXIT_CODES[ModelNotFetched]
    assert server.requests == []
    code, _, err = run("index", photos, "--model", "clip-vit-b-32")
    assert code == 0
    assert "fetching clip-vit-b-32" in err
    assert "for better answers" not in err
    assert run("switch", "siglip2-b-16", "--offline")[0] == EXIT_CODES[ModelNotFetched]
    code, out, err = run("switch", "siglip2-b-16")
    assert code == 0
    assert "fetching siglip2-b-16" in err
    assert "answers by siglip2-b-16 now" in out


def test_what_is_better_than_the_built_in_model_is_said_once(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advice = "for better answers: pixseek switch siglip2-b-16 (fetches 1,536 MB)"
    assert advice in run("index", photos)[2]
    assert advice not in run("index", photos)[2]
    other = tmp_path / "other"
    assert advice in run("search", "a cat", photos, "--library", other)[2]
    assert advice not in run("search", "a cat", photos, "--library", other)[2]
    for number, extra in enumerate((["--model", "pocket"], ["--quiet"])):
        assert run("index", photos, "--library", tmp_path / str(number), *extra)[2] == ""
    monkeypatch.setenv("PIXSEEK_MODEL", "pocket")
    assert run("index", photos, "--library", tmp_path / "named")[2] == ""


def test_the_bar_of_a_fetch_appears_in_terminals_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [Fetch("m", "o/r", "host", done, 2_000_000) for done in (0, 10**6, 2 * 10**6)]
    for terminal, quiet in ((False, False), (True, True), (True, False)):
        monkeypatch.setattr(sys.stderr, "isatty", lambda answer=terminal: answer)
        with FetchBar(quiet=quiet) as bar:
            bar.show(Fetch("m", "o/r", "host", 0, 0))
            for step in steps:
                bar.show(step)
        err = capsys.readouterr().err
        assert "pixseek: waiting for another process that is fetching m\n" in err
        assert err.count("pixseek: fetching m (2 MB) from o/r at host") == 1
        assert ("2.00M" in err) == (terminal and not quiet)


def test_a_real_model_is_fetched_indexes_and_answers_without_a_network_after(
    server: Hub, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(RUNTIMES, "onnx", Runtime("pixseek.encoders.onnx"))
    made = reference_models.unpacked() / "transformers-clip"
    files = {f.relative_to(made).as_posix(): f for f in made.rglob("*") if f.is_file()}
    server.commit("owner/real", {path: file.read_bytes() for path, file in files.items()})
    code, _, err = run("index", SAMPLES, "--model", "onnx:owner/real", "--quiet")
    assert code == 0, err
    found = run("search", "a cat", "--paths", "-k", "5")[1]
    assert len(found.splitlines()) == 5
    assert run("models", "--bench", "onnx:owner/real")[0] == 0
    server.requests.clear()
    monkeypatch.setenv("PIXSEEK_OFFLINE", "1")
    assert run("search", "a cat", "--paths", "-k", "5")[1] == found
    copy = shutil.copytree(hub.cache() / "models" / "onnx--owner--real", tmp_path / "copy")
    other = ("--library", tmp_path / "other")
    assert run("index", SAMPLES, "--model", copy, *other, "--quiet")[0] == 0
    assert run("search", "a cat", "--paths", "-k", "5", *other)[1] == found
    assert server.requests == []
