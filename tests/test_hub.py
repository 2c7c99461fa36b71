"""Models are fetched from the hub, verified, kept and found again: by its real client."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.hub_server")

from tests.hub_server import Hub, serving  # noqa: E402

import pixseek  # noqa: E402  # after the line above
from pixseek.encoders import Options  # noqa: E402
from pixseek.encoders.catalog import Model  # noqa: E402
from pixseek.encoders.hub import (  # noqa: E402
    CHECKSUMS,
    SOURCE,
    Fetch,
    fetch,
    fingerprint,
    folder_of,
    is_here,
    models_folder,
)
from pixseek.errors import ModelNotFetched, ModelUnavailable  # noqa: E402

SOURCES = str(Path(pixseek.__file__).parent.parent)
REPOSITORY = "someone/a-clip"
MODEL = Model("a-clip", "OpenCLIP", "onnx", "MIT", "English", "", source=REPOSITORY)
WEIGHTS = bytes(range(256)) * 4000
OPEN_CLIP = {
    "README.md": b"# A model",
    "config.json": b'{"text_cfg": {}}',
    "visual/model.onnx": WEIGHTS,
    "visual/model.onnx.data": b"more weights",
    "visual/preprocess_cfg.json": b"{}",
    "visual/rknpu/rk3588/model.rknn": b"for another machine",
    "textual/model.onnx": b"text weights",
    "textual/tokenizer.json": b"{}",
    "textual/tokenizer_config.json": b"{}",
    "pytorch_model.bin": b"pickled",
    "model.pt": b"pickled",
    "../outside.json": b"malicious",
    "visual/../../outside.json": b"malicious",
}
NEEDED = {
    "config.json",
    *("visual/model.onnx", "visual/model.onnx.data", "visual/preprocess_cfg.json"),
    *("textual/model.onnx", "textual/tokenizer.json", "textual/tokenizer_config.json"),
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that holds one model."""
    made = Hub()
    made.add(REPOSITORY, dict(OPEN_CLIP))
    with serving(made):
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        yield made


def held(folder: Path) -> set[str]:
    """The model's files in a folder; not what says where they are from."""
    return {
        name
        for file in folder.rglob("*")
        if file.is_file()
        and not (name := file.relative_to(folder).as_posix()).startswith(".cache/")
        and name not in (CHECKSUMS, SOURCE)
    }


def test_a_model_is_fetched_whole_and_nothing_but_what_it_needs(hub: Hub) -> None:
    folder = folder_of(MODEL, Options())
    assert folder.parent == models_folder()
    assert held(folder) == NEEDED
    for name in NEEDED:
        assert (folder / name).read_bytes() == OPEN_CLIP[name]
    assert not (folder.parent / "outside.json").exists()
    asked = " ".join(hub.requests)
    assert not any(name in asked for name in (".bin", ".pt", ".rknn", "outside", "README"))


def test_a_model_that_is_here_is_used_without_asking_anyone(hub: Hub) -> None:
    assert not is_here(MODEL, Options())
    folder = folder_of(MODEL, Options())
    assert is_here(MODEL, Options())
    hub.requests.clear()
    assert folder_of(MODEL, Options()) == folder
    assert folder_of(MODEL, Options(offline=True)) == folder
    assert hub.requests == []


def test_the_checksums_say_what_the_folder_holds(hub: Hub) -> None:  # noqa: ARG001
    folder = folder_of(MODEL, Options())
    lines = (folder / CHECKSUMS).read_text().splitlines()
    expected = {name: sha256(OPEN_CLIP[name]).hexdigest() for name in NEEDED}
    assert {line.split("  ")[1]: line.split("  ")[0] for line in lines} == expected


def test_the_other_layout_is_fetched_in_the_best_precision_it_has(hub: Hub) -> None:
    files = {
        "onnx/vision_model_int8.onnx": b"v8",
        "onnx/vision_model_fp16.onnx": b"v16",
        "onnx/text_model_fp16.onnx": b"t16",
        "onnx/text_model_fp16.onnx_data": b"more",
        "onnx/text_model_int8.onnx": b"t8",
        "onnx/model.onnx": b"both in one",
        "config.json": b"{}",
        "preprocessor_config.json": b"{}",
        "tokenizer.json": b"{}",
        "vocab.txt": b"a",
    }
    hub.add("someone/other", files)
    folder = folder_of(replace(MODEL, name="other", source="someone/other"), Options())
    assert held(folder) == {
        *("onnx/vision_model_fp16.onnx", "onnx/text_model_fp16.onnx"),
        *("onnx/text_model_fp16.onnx_data", "config.json", "preprocessor_config.json"),
        *("tokenizer.json", "vocab.txt"),
    }
    hub.repositories["someone/other"]["onnx/vision_model.onnx"] = b"v32"
    hub.repositories["someone/other"]["onnx/text_model.onnx"] = b"t32"
    model = replace(MODEL, name="other 32", source="someone/other")
    assert "onnx/vision_model.onnx" in held(folder_of(model, Options()))


def test_what_arrives_is_told_in_bytes(hub: Hub) -> None:  # noqa: ARG001
    told: list[Fetch] = []
    folder_of(MODEL, Options(on_fetch=told.append))
    total = sum(len(OPEN_CLIP[name]) for name in NEEDED)
    assert {(one.model, one.repository, one.total) for one in told} == {
        ("a-clip", REPOSITORY, total)
    }
    done = [one.done for one in told]
    assert done == sorted(done)
    assert done[-1] == total


def test_the_commit_is_kept_until_the_model_is_upgraded(hub: Hub) -> None:
    folder = folder_of(MODEL, Options())
    assert json.loads((folder / SOURCE).read_text()) == {
        "repository": REPOSITORY,
        "commit": "a" * 40,
    }
    newer = OPEN_CLIP | {"textual/model.onnx": b"newer text weights"}
    hub.add(REPOSITORY, newer, commit="b" * 40)
    before = fingerprint(folder)
    fetch(MODEL, Options())
    assert (folder / "textual/model.onnx").read_bytes() == b"text weights"
    fetch(MODEL, Options(), upgrade=True)
    assert (folder / "textual/model.onnx").read_bytes() == b"newer text weights"
    assert json.loads((folder / SOURCE).read_text())["commit"] == "b" * 40
    assert fingerprint(folder) != before


def test_a_commit_can_be_asked_for(hub: Hub) -> None:
    folder_of(replace(MODEL, source=f"{REPOSITORY}@{'a' * 40}"), Options())
    assert all("main" not in one for one in hub.requests)
    model = replace(MODEL, name="none", source=f"{REPOSITORY}@v9")
    with pytest.raises(ModelNotFetched, match="the revision or a file of it is not there"):
        folder_of(model, Options())


def test_a_download_that_was_cut_off_goes_on_where_it_was(hub: Hub) -> None:
    large = WEIGHTS * 25
    hub.repositories[REPOSITORY]["visual/model.onnx"] = large
    hub.cut_after = 15_000_000
    folder = folder_of(MODEL, Options())
    assert (folder / "visual" / "model.onnx").read_bytes() == large
    first, again = [
        one for one in hub.asked() if "/visual/model.onnx" in one and ".data" not in one
    ]
    assert "bytes=" not in first
    assert 10_000_000 < int(again.partition("bytes=")[2].rstrip("-")) <= 15_000_000


def test_a_file_that_is_not_what_its_checksum_says_is_deleted_and_named(hub: Hub) -> None:
    hub.lies["visual/model.onnx"] = WEIGHTS[::-1]
    with pytest.raises(ModelNotFetched, match=r"visual/model\.onnx is not what its checksum says"):
        folder_of(MODEL, Options())
    folder = models_folder() / "a-clip"
    assert not (folder / "visual" / "model.onnx").exists()
    assert not is_here(MODEL, Options())
    hub.lies.clear()
    assert held(folder_of(MODEL, Options())) == NEEDED


def test_a_small_file_is_verified_too(hub: Hub) -> None:
    hub.lies["textual/tokenizer.json"] = b"[]"
    with pytest.raises(ModelNotFetched, match=r"textual/tokenizer\.json is not what"):
        folder_of(MODEL, Options())


def test_a_checksum_of_the_catalog_goes_before_what_the_hub_says(hub: Hub) -> None:  # noqa: ARG001
    right = sha256(WEIGHTS).hexdigest()
    for known, good in ((right, True), ("0" * 64, False)):
        model = replace(MODEL, name=known[:4], sha256=(("visual/model.onnx", known),))
        if good:
            folder_of(model, Options())
        else:
            with pytest.raises(ModelNotFetched, match=r"visual/model\.onnx is not what"):
                folder_of(model, Options())


def test_offline_nothing_is_asked_for_and_three_ways_out_are_named(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = r"try again with a network .*--model FOLDER\); or use the built-in model"
    with pytest.raises(ModelNotFetched, match=ways) as caught:
        folder_of(MODEL, Options(offline=True))
    assert (caught.value.name, caught.value.repository) == ("a-clip", REPOSITORY)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelNotFetched, match="downloads are off"):
        folder_of(MODEL, Options())
    assert hub.requests == []


def test_without_a_network_the_error_names_the_three_ways_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelNotFetched, match=r"refused.* Three ways out"):
        folder_of(MODEL, Options())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"token": "secret"}, "asks for an account and consent"),
        ({"repositories": {}}, "there is no such repository, or it is private"),
        ({"status": 503}, "503"),
    ],
    ids=["gated", "unknown", "unwell"],
)
def test_what_the_hub_refuses_is_said_with_its_reason(
    hub: Hub, change: dict[str, object], reason: str
) -> None:
    for name, value in change.items():
        setattr(hub, name, value)
    with pytest.raises(ModelNotFetched, match=reason):
        folder_of(MODEL, Options())


def test_a_token_opens_what_is_gated(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = "secret"
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert held(folder_of(MODEL, Options())) == NEEDED


def test_a_repository_without_an_onnx_model_is_refused(hub: Hub) -> None:
    hub.add(REPOSITORY, {"model.safetensors": b"torch", "config.json": b"{}"})
    with pytest.raises(ModelNotFetched, match="holds no ONNX model in a layout that pixseek knows"):
        folder_of(MODEL, Options())


def test_a_place_that_cannot_be_written_to_is_named(hub: Hub, tmp_path: Path) -> None:  # noqa: ARG001
    (tmp_path / "file").touch()
    with pytest.raises(ModelNotFetched, match="Not a directory"):
        folder_of(MODEL, Options(folder=tmp_path / "file"))


# Folders


def test_a_folder_that_is_named_is_used_as_it_is(tmp_path: Path) -> None:
    model = replace(MODEL, source=str(tmp_path))
    assert is_here(model, Options())
    assert folder_of(model, Options()) == tmp_path
    with pytest.raises(ModelUnavailable, match="is not there"):
        folder_of(replace(MODEL, source=str(tmp_path / "none")), Options())


def test_a_fetched_folder_can_be_copied_and_named(hub: Hub, tmp_path: Path) -> None:  # noqa: ARG001
    folder = folder_of(MODEL, Options())
    before = fingerprint(folder)
    folder.rename(tmp_path / "copied")
    assert fingerprint(tmp_path / "copied") == before


def test_a_folders_fingerprint_changes_with_its_weights_and_not_with_its_readme(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "model"
    (folder / "onnx").mkdir(parents=True)
    (folder / "onnx" / "vision_model.onnx").write_bytes(b"weights")
    (folder / "tokenizer.json").write_bytes(b"{}")
    before = fingerprint(folder)
    (folder / "README.md").write_bytes(b"words")
    assert fingerprint(folder) == before
    (folder / "onnx" / "vision_model.onnx").write_bytes(b"others")
    os.utime(folder / "onnx" / "vision_model.onnx", ns=(0, 1))
    after = fingerprint(folder)
    assert after != before
    (folder / "tokenizer.json").write_bytes(b"[]")
    os.utime(folder / "tokenizer.json", ns=(0, 1))
    assert fingerprint(folder) not in (before, after)


def test_a_large_folder_is_hashed_once(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"weights")
    os.utime(file, ns=(0, 5))
    before = fingerprint(tmp_path)
    file.write_bytes(b"WEIGHTS")  # as large and as old: taken for the same
    os.utime(file, ns=(0, 5))
    assert fingerprint(tmp_path) == before
    (models_folder().parent / "fingerprints.json").write_text("damaged")
    assert fingerprint(tmp_path) != before


# Several processes

FETCH = """
import sys
from pixseek.encoders import Options
from pixseek.encoders.catalog import Model
from pixseek.encoders.hub import fetch
model = Model("a-clip", "OpenCLIP", "onnx", "MIT", "English", "", source=sys.argv[1])
fetch(model, Options(on_fetch=lambda fetch: print(fetch.done, flush=True)))
print("whole", flush=True)
"""


def fetching() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, REPOSITORY],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCES},
    )


def test_two_processes_fetch_one_model_once(hub: Hub) -> None:
    both = [fetching() for _ in range(2)]
    ends = [one.communicate(timeout=60) for one in both]
    assert [one.returncode for one in both] == [0, 0], ends
    assert all(out.splitlines()[-1] == "whole" for out, _ in ends)
    gets = [one for one in hub.asked() if one.endswith("visual/model.onnx")]
    assert len(gets) == 1


def test_a_killed_download_goes_on_with_the_next(hub: Hub) -> None:
    hub.repositories[REPOSITORY]["visual/model.onnx"] = WEIGHTS * 60
    process = fetching()
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not is_here(MODEL, Options())
    time.sleep(0.1)
    folder = folder_of(MODEL, Options())
    assert held(folder) == NEEDED
    assert (folder / "visual" / "model.onnx").read_bytes() == WEIGHTS * 60
