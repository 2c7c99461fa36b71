"""Models run by torch: the contract, and the vectors of the libraries themselves."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
import pytest

pytest.register_assert_rewrite("tests.encoder_contract")

from tests.encoder_contract import EncoderContract  # noqa: E402
from tests.reference_models import answers  # noqa: E402
from tools.reference import models  # noqa: E402
from tools.reference.inputs import TEXTS, pictures  # noqa: E402

from pixseek import ImageSearchEngine  # noqa: E402  # after the lines above
from pixseek.encoders import Encoder, Options, load_encoder, resolve  # noqa: E402
from pixseek.errors import DeviceUnavailable, ModelUnavailable  # noqa: E402

SAMPLES = Path(__file__).parent.parent.parent / "samples"
_places: dict[str, str] = {}
_root = TemporaryDirectory(prefix="pixseek-torch-")


@pytest.fixture(autouse=True)
def _where_the_models_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(_root.name)  # one names a file beside it


def source(name: str) -> str:
    """A tiny model of that architecture on disk, made once."""
    if name not in _places:
        before = Path.cwd()
        os.chdir(_root.name)  # class fixtures come before the one above
        try:
            _places[name] = models.make(name, Path(_root.name) / name)
        finally:
            os.chdir(before)
    return _places[name]


class TorchContract(EncoderContract):
    tolerance: ClassVar[float] = 1e-5


class TestOpenClip(TorchContract):
    @staticmethod
    def make() -> Encoder:
        return load_encoder(source("open-clip"), Options(device="cpu"))


class TestOpenClipSigLIP(TorchContract):
    @staticmethod
    def make() -> Encoder:
        return load_encoder(source("open-clip-siglip"), Options(device="cpu"))


class TestTransformersClip(TorchContract):
    @staticmethod
    def make() -> Encoder:
        return load_encoder(source("transformers-clip"), Options(device="cpu"))


class TestTransformersSigLIP2(TorchContract):
    @staticmethod
    def make() -> Encoder:
        return load_encoder(source("transformers-siglip2"), Options(device="cpu"))


@pytest.mark.parametrize("name", models.MODELS)
def test_the_vectors_are_those_of_the_reference(name: str) -> None:
    encoder, expected = load_encoder(source(name), Options(device="cpu")), answers(name)
    for rows, wanted in (
        (encoder.encode_images(pictures()), expected["images"]),
        (encoder.encode_texts(TEXTS), expected["texts"]),
    ):
        np.testing.assert_allclose((rows * wanted).sum(axis=1), 1, atol=1e-5)


def test_more_than_one_pass_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_encoder(source("open-clip"), Options(device="cpu"))
    whole = encoder.encode_texts(TEXTS)
    monkeypatch.setattr("pixseek.encoders.torch_runtime.AT_ONCE", 3)
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), whole, atol=1e-5)


def test_the_fingerprint_is_that_of_the_weights() -> None:
    spaces = {name: load_encoder(source(name)).space for name in ("open-clip", "transformers-clip")}
    again = load_encoder(source("open-clip")).space
    assert again == spaces["open-clip"]
    assert again.fingerprint != spaces["transformers-clip"].fingerprint


def test_what_it_runs_on_is_said() -> None:
    said = load_encoder(source("open-clip"), Options(device="cpu")).runs_on
    assert said.startswith("torch ")
    assert "on the processor (float32)" in said


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceUnavailable, match="'tpu' cannot be used"):
        load_encoder(source("open-clip"), Options(device="tpu"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("open_clip:ViT-B-32/no_such_weights", "open_clip has no weights 'no_such_weights'"),
        ("open_clip:no-such-model/openai", "open_clip has no model 'no-such-model'"),
        ("transformers:someone/no-such-model", "no-such-model"),
    ],
)
def test_a_model_that_is_not_to_be_had_is_named_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        load_encoder(name, Options(offline=True))


def test_a_folder_of_torch_weights_is_told_by_what_lies_in_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "open_clip_config.json").touch()
    found = resolve(str(tmp_path / "a"))
    assert found is not None
    assert (found.runtime, found.source) == ("open_clip", f"local-dir:{tmp_path / 'a'}")


@pytest.mark.parametrize("name", ["open-clip", "transformers-siglip"])
def test_a_library_is_made_and_searched_with_it(name: str, tmp_path: Path) -> None:
    with ImageSearchEngine(tmp_path / "library", model=source(name)) as engine:
        report = engine.index_images(SAMPLES)
        assert report.added == len(list(SAMPLES.glob("*.jpg")))
        assert len(engine.search_by_text("a cat", k=5)) == 5
        file = SAMPLES / "photo-01.jpg"
        (hit,) = engine.search_by_image(file, k=1)
        assert hit.path == file
    with ImageSearchEngine(tmp_path / "library") as again:
        assert again.search_by_image(file, k=1)[0].id == hit.id
