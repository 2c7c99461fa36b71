"""Models fetched from a hub, verified, resumed, and known by one hash. The hub is a server on this
machine (tests/hub_server.py); the client is huggingface_hub."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from huggingface_hub import close_session

pytest.register_assert_rewrite("tests.hub_server")

from tests.hub_server import Hub, blob, serving  # noqa: E402

import pixseek  # noqa: E402  # after the line above
from pixseek.cli import EXIT_CODES  # noqa: E402
from pixseek.encoders import Options, fetching, resolve  # noqa: E402
from pixseek.encoders.catalog import Model  # noqa: E402
from pixseek.encoders.fetching import fetch  # noqa: E402
from pixseek.encoders.hub import CHECKSUMS, SOURCE, fingerprint, folder_of, kept_in  # noqa: E402
from pixseek.errors import ModelNotFetched, ModelUnavailable  # noqa: E402
from pixseek.records import Fetch  # noqa: E402

OPEN_CLIP = {
    "config.json": b'{"embed_dim": 4}',
    "visual/model.onnx": random.Random(1).randbytes(300_000),
    "visual/preprocess_cfg.json": b'{"size": 8}',
    "textual/model.onnx": random.Random(2).randbytes(5_000),
    "textual/model.onnx.data": random.Random(3).randbytes(9_000),
    "textual/tokenizer.json": b'{"a": 1}' * 50,
    "textual/tokenizer_config.json": b"{}",
}
NEVER = {
    "README.md": b"# A model",
    ".gitattributes": b"",
    "pytorch_model.bin": b"\x80" * 500,
    "model.pt": b"\x80" * 500,
    "visual/model.pkl": b"\x80" * 500,
    "visual/armnn/model.armnn": b"x",
    "textual/merges.txt": b"x",
    "../evil.json": b"x",
    "textual/tokenizer/../../../evil.json": b"x",
    "/etc/evil.json": b"x",
    "visual\\..\\..\\evil.onnx": b"x",
}
TRANSFORMERS = {
    "config.json": b"{}",
    "preprocessor_config.json": b"{}",
    "tokenizer.json": b"{}",
    "tokenizer_config.json": b"{}",
    **{
        f"onnx/{half}_model{variant}.onnx": f"{half} {variant}".encode() * 50
        for half in ("vision", "text")
        for variant in ("", "_int8", "_fp16")
    },
    "onnx/vision_model.onnx_data": b"weights" * 50,
    "onnx/model.onnx": b"both halves in one" * 50,
}


WHOLE = 1_000_000
"""More than any file has: as a cut, it breaks the connection after the last byte."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(fetching, "PAUSE_S", 0.01)
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.commit("owner/tiny", OPEN_CLIP | NEVER)
        yield hub
    close_session()


@pytest.fixture
def model() -> Model:
    return named("onnx:owner/tiny")


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(folder=tmp_path / "models", on_fetch=lambda _: None)


def named(name: str) -> Model:
    found = resolve(name)
    assert found is not None
    return found


def contents(folder: Path) -> dict[str, bytes]:
    """path → content of all that a person sees in a folder, without what fetching adds."""
    files = {f.relative_to(folder).as_posix(): f for f in folder.rglob("*") if f.is_file()}
    return {p: f.read_bytes() for p, f in files.items() if p not in (CHECKSUMS, SOURCE)}


# what is fetched


def test_a_model_is_fetched_into_a_plain_folder_with_its_checksums(
    hub: Hub, model: Model, options: Options
) -> None:
    folder = folder_of(model, options)
    assert folder == kept_in(model, options)
    assert contents(folder) == OPEN_CLIP
    lines = (folder / CHECKSUMS).read_text().splitlines()
    assert lines == [f"{sha256(OPEN_CLIP[p]).hexdigest()}  {p}" for p in sorted(OPEN_CLIP)]
    source = json.loads((folder / SOURCE).read_text())
    assert source["repository"] == "owner/tiny"
    assert (source["revision"], source["commit"]) == ("main", hub.main["owner/tiny"])


@pytest.mark.usefixtures("hub")
def test_it_lies_in_the_users_cache_by_its_name(model: Model, own_home: Path) -> None:
    folder = folder_of(model, Options(on_fetch=lambda _: None))
    assert folder == own_home / "cache" / "pixseek" / "models" / "onnx--owner--tiny"


def test_nothing_but_the_files_that_are_needed_is_asked_for(
    hub: Hub, model: Model, options: Options
) -> None:
    folder_of(model, options)
    commit = hub.main["owner/tiny"]
    assert sorted(hub.asked()) == sorted(
        ["/api/models/owner/tiny/revision/main"]
        + [f"/owner/tiny/resolve/{commit}/{path}" for path in OPEN_CLIP]
    )
    assert hub.asked("HEAD") == []


def test_a_file_name_that_points_elsewhere_is_never_written(
    hub: Hub, model: Model, options: Options, tmp_path: Path
) -> None:
    folder_of(model, options)
    assert list(tmp_path.rglob("*evil*")) == []
    assert not any("evil" in path for path in hub.asked())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("onnx:owner/other", ["vision_model.onnx", "vision_model.onnx_data", "text_model.onnx"]),
        ("onnx:owner/other#int8", ["vision_model_int8.onnx", "text_model_int8.onnx"]),
        ("onnx:owner/other@main#fp16", ["vision_model_fp16.onnx", "text_model_fp16.onnx"]),
    ],
)
def test_of_several_variants_only_the_one_that_was_asked_for_is_fetched(
    hub: Hub, options: Options, name: str, expected: list[str]
) -> None:
    hub.commit("owner/other", TRANSFORMERS)
    found = contents(folder_of(named(name), options))
    weights = sorted(path for path in found if path.startswith("onnx/"))
    assert weights == sorted(f"onnx/{name}" for name in expected)
    assert {"config.json", "tokenizer.json", "preprocessor_config.json"} <= set(found)


def test_a_variant_that_is_not_there_is_refused_with_those_that_are(
    hub: Hub, options: Options
) -> None:
    hub.commit("owner/other", TRANSFORMERS)
    with pytest.raises(ModelNotFetched, match=r"onnx:owner/other#fp16, onnx:owner/other#int8"):
        folder_of(named("onnx:owner/other#q4"), options)


@pytest.mark.parametrize(
    ("name", "files", "kept"),
    [
        (
            "transformers:owner/torch",
            {"config.json": b"{}", "model.safetensors": b"w" * 300, "pytorch_model.bin": b"x" * 300,
             "tokenizer.json": b"{}", "spiece.model": b"s", "training_args.bin": b"x"},
            ["config.json", "model.safetensors", "spiece.model", "tokenizer.json"],
        ),
        (
            "open_clip:owner/torch",
            {"open_clip_config.json": b"{}", "open_clip_model.safetensors": b"w" * 300,
             "open_clip_pytorch_model.bin": b"x" * 300, "merges.txt": b"m"},
            ["merges.txt", "open_clip_config.json", "open_clip_model.safetensors"],
        ),
    ],
)  # fmt: skip
def test_repositories_of_the_torch_runtimes_give_their_safetensors(
    hub: Hub, options: Options, name: str, files: dict[str, bytes], kept: list[str]
) -> None:
    hub.commit("owner/torch", files)
    assert sorted(contents(folder_of(named(name), options))) == kept


def test_a_repository_without_a_model_that_is_known_is_refused(hub: Hub, options: Options) -> None:
    hub.commit("owner/pickles", {"pytorch_model.bin": b"x" * 300, "config.json": b"{}"})
    for runtime in ("onnx", "transformers"):
        with pytest.raises(ModelNotFetched, match=f"holds no {runtime} model"):
            folder_of(named(f"{runtime}:owner/pickles"), options)
    assert len(hub.asked()) == 2


def test_progress_goes_from_what_is_there_to_all_of_it(hub: Hub, model: Model) -> None:
    seen: list[Fetch] = []
    folder_of(model, Options(on_fetch=seen.append))
    total = sum(map(len, OPEN_CLIP.values()))
    assert {one.total for one in seen} == {total}
    assert {one.repository for one in seen} == {"owner/tiny"}
    assert {one.server for one in seen} == {hub.url.removeprefix("http://")}
    done = [one.done for one in seen]
    assert done == sorted(done)
    assert done[-1] == total


def test_the_token_goes_to_the_hub_and_not_to_where_it_redirects(
    hub: Hub, model: Model, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    folder_of(model, options)
    assert {r.token for r in hub.requests if "/cdn/" not in r.path} == {"Bearer hf_secret"}
    assert {r.token for r in hub.served()} == {None}


# a second time


def test_a_model_that_is_here_is_found_without_a_request(
    hub: Hub, model: Model, options: Options
) -> None:
    folder = folder_of(model, options)
    hub.requests.clear()
    assert folder_of(model, Options(folder=options.folder)) == folder
    assert fetch(model, options) == folder
    assert hub.requests == []


def test_it_stays_at_its_commit_until_it_is_upgraded(
    hub: Hub, model: Model, options: Options
) -> None:
    first = hub.main["owner/tiny"]
    folder = folder_of(model, options)
    newer = {path: content for path, content in OPEN_CLIP.items() if "data" not in path}
    newer["config.json"] = b'{"embed_dim": 5}'
    second = hub.commit("owner/tiny", newer)
    (folder / "visual/model.onnx").write_bytes(b"damaged")
    hub.requests.clear()
    assert contents(fetch(model, options)) == OPEN_CLIP
    assert hub.asked() == [
        f"/api/models/owner/tiny/revision/{first}",
        f"/owner/tiny/resolve/{first}/visual/model.onnx",
    ]
    hub.requests.clear()
    assert contents(fetch(model, options, upgrade=True)) == newer
    assert hub.asked() == [
        "/api/models/owner/tiny/revision/main",
        f"/owner/tiny/resolve/{second}/config.json",
    ]
    assert json.loads((folder / SOURCE).read_text())["commit"] == second


def test_an_upgrade_that_fails_leaves_the_model_as_it_was(
    hub: Hub, model: Model, options: Options
) -> None:
    folder = folder_of(model, options)
    known = fingerprint(folder)
    hub.commit("owner/tiny", OPEN_CLIP | {"visual/model.onnx": random.Random(9).randbytes(300_000)})
    hub.cut_after = [1000, *[0] * 9]
    with pytest.raises(ModelNotFetched, match="stopped answering"):
        fetch(model, options, upgrade=True)
    hub.cut_after.clear()
    assert folder_of(model, Options(folder=options.folder)) == folder
    assert fingerprint(folder) == known
    hub.requests.clear()
    fetch(model, options, upgrade=True)
    assert [r.range for r in hub.served()] == ["bytes=1000-"]
    assert fingerprint(folder) != known


def test_a_revision_can_be_named(hub: Hub, options: Options) -> None:
    first = hub.main["owner/tiny"]
    hub.commit("owner/tiny", OPEN_CLIP | {"config.json": b'{"embed_dim": 5}'})
    folder = folder_of(named(f"onnx:owner/tiny@{first}"), options)
    assert (folder / "config.json").read_bytes() == OPEN_CLIP["config.json"]


# interrupted


def test_after_the_connection_is_cut_only_the_rest_is_asked_for(
    hub: Hub, model: Model, options: Options
) -> None:
    hub.commit("owner/tiny", {p: OPEN_CLIP[p] for p in OPEN_CLIP if "data" not in p})
    hub.cut_after = [WHOLE, WHOLE, 100_000, 50_000]
    folder_of(model, options)
    visual = [r.range for r in hub.served() if r.path.endswith("visual/model.onnx")]
    assert visual == [None, "bytes=100000-", "bytes=150000-"]


def test_a_fetch_that_was_given_up_goes_on_where_it_was(
    hub: Hub, model: Model, options: Options
) -> None:
    hub.cut_after = [WHOLE, WHOLE, WHOLE, 100_000, *[0] * 9]
    with pytest.raises(ModelNotFetched, match="stopped answering"):
        folder_of(model, options)
    with pytest.raises(ModelNotFetched, match="has not been fetched"):
        folder_of(model, Options(folder=options.folder))
    hub.cut_after.clear()
    hub.requests.clear()
    seen: list[Fetch] = []
    assert contents(folder_of(model, replace(options, on_fetch=seen.append))) == OPEN_CLIP
    assert [r.range for r in hub.served()] == ["bytes=100000-"]
    assert seen[0].done > 100_000


def test_a_server_that_serves_no_ranges_is_asked_for_the_whole_file_again(
    hub: Hub, model: Model, options: Options
) -> None:
    hub.ranges = False
    hub.cut_after = [WHOLE, WHOLE, WHOLE, 100_000]
    seen: list[Fetch] = []
    assert contents(folder_of(model, replace(options, on_fetch=seen.append))) == OPEN_CLIP
    assert seen[-1].done == seen[-1].total


def test_a_server_that_is_busy_is_asked_again(hub: Hub, model: Model, options: Options) -> None:
    hub.busy = 3
    assert contents(folder_of(model, options)) == OPEN_CLIP
    hub.busy = 1000
    with pytest.raises(ModelNotFetched, match="answered 503"):
        folder_of(named("onnx:owner/tiny@main"), options)


def started(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """`pixseek models pull` and the like as a process of its own, in this test's home."""
    source = str(Path(pixseek.__file__).parent.parent)
    return subprocess.Popen(
        [sys.executable, "-m", "pixseek", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": source} | environment,
    )


def test_a_process_that_is_killed_leaves_what_the_next_one_goes_on_with(
    hub: Hub, model: Model
) -> None:
    visual = kept_in(model, Options()) / "visual"
    hub.hold_after = 200_000
    with started("models", "pull", model.name) as first:
        assert hub.holding.wait(30)
        _until(lambda: sum(f.stat().st_size for f in visual.glob("model.onnx.*.part")) > 150_000)
        first.send_signal(signal.SIGKILL)
    hub.release.set()
    hub.hold_after = None
    hub.requests.clear()
    with started("models", "pull", model.name) as second:
        out, err = second.communicate(timeout=60)
    assert second.returncode == 0, err
    assert out == f"{model.name} is here, whole: {kept_in(model, Options())}\n"
    (asked,) = [r.range for r in hub.served()]
    assert asked is not None
    assert int(asked.removeprefix("bytes=").removesuffix("-")) > 150_000
    assert contents(folder_of(model, Options())) == OPEN_CLIP


def _until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_two_processes_that_pull_one_model_at_once_both_end_well(hub: Hub, model: Model) -> None:
    hub.hold_after = 1_000
    with started("models", "pull", model.name) as first:
        assert hub.holding.wait(30)
        with started("models", "pull", model.name) as second:
            assert second.stderr is not None
            assert "waiting for another process" in second.stderr.readline()
            hub.release.set()
            answers = [one.communicate(timeout=60) for one in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], answers
    assert contents(folder_of(model, Options())) == OPEN_CLIP
    assert len(hub.served()) == 4


def test_threads_that_want_one_model_at_once_fetch_it_once(
    hub: Hub, model: Model, options: Options
) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: folder_of(model, options), range(4)))
    assert folders == {kept_in(model, options)}
    assert len(hub.served()) == 4


# refused


def test_a_file_without_its_checksum_is_deleted_and_refused(
    hub: Hub, model: Model, options: Options
) -> None:
    for lie in (b"x" * 300_000, OPEN_CLIP["visual/model.onnx"] + b"more", b"x" * 900_000):
        hub.lies = {"visual/model.onnx": lie}
        with pytest.raises(ModelNotFetched, match=r"visual/model\.onnx .*checksum.*deleted"):
            folder_of(model, options)
        assert list(kept_in(model, options).glob("visual/*")) == []
    hub.lies.clear()
    assert contents(folder_of(model, options)) == OPEN_CLIP


def test_a_small_file_is_checked_by_gits_hash(hub: Hub, model: Model, options: Options) -> None:
    siblings = [
        {"rfilename": path, "size": len(content), "blobId": blob(content[::-1])}
        for path, content in OPEN_CLIP.items()
    ]
    hub.listing = {"sha": hub.main["owner/tiny"], "siblings": siblings}
    with pytest.raises(ModelNotFetched, match="does not have its checksum"):
        folder_of(model, options)


def test_what_the_catalog_knows_goes_before_what_the_hub_says(hub: Hub, options: Options) -> None:
    right = sha256(OPEN_CLIP["visual/model.onnx"]).hexdigest()
    model = named("onnx:owner/tiny")
    folder_of(replace(model, sha256=(("visual/model.onnx", right),)), options)
    other = replace(model, name="other", sha256=(("visual/model.onnx", "0" * 64),))
    hub.requests.clear()
    with pytest.raises(ModelNotFetched, match="no longer the file that this pixseek knows"):
        folder_of(other, options)
    assert hub.served() == []


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        ((401, ""), "refuses owner/tiny (401); a token in HF_TOKEN"),
        ((401, "GatedRepo"), "open only to those who accepted its terms"),
        ((403, "GatedRepo"), "open only to those who accepted its terms"),
        ((403, ""), "refuses owner/tiny (403)"),
        ((404, "RepoNotFound"), "has no repository owner/tiny"),
        ((404, "RevisionNotFound"), "owner/tiny has no revision 'main'"),
        ((404, "EntryNotFound"), "answered 404 when asked for owner/tiny"),
        ((500, ""), "answered 500"),
        ((429, ""), "answered 429"),
    ],
)
def test_a_refusal_is_told_apart_and_names_the_ways_out(
    hub: Hub, model: Model, options: Options, refusal: tuple[int, str], said: str
) -> None:
    hub.refusal = refusal
    with pytest.raises(ModelNotFetched) as error:
        folder_of(model, options)
    for part in (said, "pixseek models pull onnx:owner/tiny", "--model FOLDER", "--model pocket"):
        assert part in str(error.value)


def test_what_is_not_there_is_told_apart_by_a_real_answer(hub: Hub, options: Options) -> None:
    for name, said in (
        ("onnx:owner/none", "has no repository owner/none"),
        ("onnx:owner/tiny@v9", "has no revision 'v9'"),
        ("onnx:no repository", "expected OWNER/NAME"),
        ("onnx:../../etc", "expected OWNER/NAME"),
    ):
        with pytest.raises(ModelNotFetched, match=re.escape(said)):
            folder_of(named(name), options)
    assert len(hub.requests) == 2


def test_a_file_that_is_listed_and_not_there_is_named(
    hub: Hub, model: Model, options: Options
) -> None:
    commit = hub.main["owner/tiny"]
    del hub.commits["owner/tiny"][commit]["config.json"]
    listed = [
        {
            "rfilename": p,
            "size": len(c),
            "blobId": blob(c),
            "lfs": {"sha256": sha256(c).hexdigest()},
        }
        for p, c in OPEN_CLIP.items()
    ]
    hub.listing = {"sha": commit, "siblings": listed}
    with pytest.raises(ModelNotFetched, match="answered 404"):
        folder_of(model, options)


@pytest.mark.parametrize(
    "listing",
    [
        {"siblings": []},
        {"sha": "x", "siblings": None},
        {"sha": "x", "siblings": [{"size": 1}]},
        {
            "sha": "x",
            "siblings": [{"rfilename": p, "size": None, "blobId": "b"} for p in OPEN_CLIP],
        },
        {"sha": "x", "siblings": [{"rfilename": p, "size": 1, "blobId": None} for p in OPEN_CLIP]},
    ],
    ids=["no commit", "no files", "no names", "no sizes", "no hashes"],
)
def test_an_answer_that_is_not_a_hubs_is_refused(
    hub: Hub, model: Model, options: Options, listing: dict[str, object]
) -> None:
    hub.listing = listing
    with pytest.raises(ModelNotFetched, match=r"as a hub does|does not say the hash"):
        folder_of(model, options)


def test_a_model_larger_than_the_disk_is_refused_before_it_is_asked_for(
    hub: Hub, model: Model, options: Options
) -> None:
    siblings = [{"rfilename": path, "size": 10**18, "blobId": "b"} for path in OPEN_CLIP]
    hub.listing = {"sha": "x", "siblings": siblings}
    with pytest.raises(ModelNotFetched, match=r"takes 7,000,000,000,000 MB more.* MB free"):
        folder_of(model, options)
    assert hub.served() == []


def test_a_disk_that_takes_no_more_is_said(hub: Hub, model: Model) -> None:
    code = (
        "import resource, sys, pixseek.cli\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"sys.exit(pixseek.cli.main(['models', 'pull', '{model.name}']))"
    )
    source = str(Path(pixseek.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == EXIT_CODES[ModelNotFetched]
    assert "cannot be written (File too large)" in done.stderr
    assert hub.served()


def test_a_folder_that_may_not_be_written_is_said(hub: Hub, model: Model, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelNotFetched, match="cannot be written"):
        folder_of(model, Options(folder=tmp_path / "file", on_fetch=lambda _: None))
    assert hub.requests == []


# without a network


def test_without_a_network_the_hub_is_said_to_be_out_of_reach(
    model: Model, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(ModelNotFetched, match="cannot be reached"):
        folder_of(model, options)
    close_session()


def test_a_server_that_never_answers_is_given_up(model: Model) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        with started(
            "models", "pull", model.name, HF_ENDPOINT=endpoint, HF_HUB_DOWNLOAD_TIMEOUT="1"
        ) as pull:
            _, err = pull.communicate(timeout=60)
    assert pull.returncode == EXIT_CODES[ModelNotFetched]
    assert "Timeout" in err


def test_offline_nothing_is_asked_for(hub: Hub, model: Model, options: Options) -> None:
    with pytest.raises(ModelNotFetched, match="setting offline"):
        folder_of(model, replace(options, offline=True))
    with pytest.raises(ModelNotFetched, match="setting offline"):
        fetch(model, replace(options, offline=True))
    with pytest.raises(ModelNotFetched, match="has not been fetched"):
        folder_of(model, Options(folder=options.folder))
    for extra, environment in (
        (["--offline"], {}),
        ([], {"PIXSEEK_OFFLINE": "1"}),
        ([], {"HF_HUB_OFFLINE": "1"}),
    ):
        with started("models", "pull", model.name, *extra, **environment) as pull:
            _, err = pull.communicate(timeout=60)
        assert pull.returncode == EXIT_CODES[ModelNotFetched]
        assert "nothing may be fetched" in err
    assert hub.requests == []


def test_a_folder_copied_from_another_machine_needs_no_hub(
    hub: Hub, model: Model, options: Options, tmp_path: Path
) -> None:
    copy = shutil.copytree(folder_of(model, options), tmp_path / "copy")
    hub.requests.clear()
    offline = Options(offline=True)
    found = named(str(copy))
    assert found.runtime == "onnx"
    assert folder_of(found, offline) == copy
    assert fingerprint(copy) == fingerprint(folder_of(model, options))
    shutil.rmtree(copy)
    with pytest.raises(ModelUnavailable, match="there is no folder"):
        folder_of(found, offline)
    assert hub.requests == []


# fingerprints


@pytest.mark.usefixtures("hub")
def test_a_fingerprint_is_the_same_with_and_without_checksums(
    model: Model, options: Options
) -> None:
    folder = folder_of(model, options)
    known = fingerprint(folder)
    (folder / CHECKSUMS).unlink()
    assert fingerprint(folder) == known
    assert len(known) == 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    for path in ("onnx/vision_model.onnx", "onnx/text_model.onnx_data", "tokenizer.json"):
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_bytes(path.encode())
    return made


def test_a_fingerprint_changes_with_what_makes_vectors_and_with_nothing_else(folder: Path) -> None:
    first = fingerprint(folder)
    for path in ("README.md", ".git/x.json", "LICENSE", "picture.png", SOURCE):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text("x")
        assert fingerprint(folder) == first, path
    for path in ("onnx/vision_model.onnx", "onnx/text_model.onnx_data", "tokenizer.json"):
        before = (folder / path).read_bytes()
        (folder / path).write_bytes(before + b"x")
        assert fingerprint(folder) != first, path
        (folder / path).write_bytes(before)
    (folder / "tokenizer.json").rename(folder / "vocab.json")
    assert fingerprint(folder) != first


def test_a_file_is_hashed_again_only_when_it_has_changed(folder: Path, own_home: Path) -> None:
    first = fingerprint(folder)
    memory = own_home / "cache" / "pixseek" / "hashes.json"
    hashes = json.loads(memory.read_text())
    assert len(hashes) == 3
    memory.write_text(json.dumps(dict.fromkeys(hashes, "0" * 64)))
    assert fingerprint(folder) != first  # so it is the memory that answers
    os.utime(folder / "tokenizer.json", (1, 1))
    fingerprint(folder)
    assert len(json.loads(memory.read_text())) == 4
    for damage in ("", "[1]", "{", '{"a": 1}'):
        memory.write_text(damage)
        assert fingerprint(folder) == first


def test_a_fingerprint_is_found_where_nothing_can_be_remembered(
    folder: Path, own_home: Path
) -> None:
    (own_home / "cache").write_text("not a folder")
    assert len(fingerprint(folder)) == 64
