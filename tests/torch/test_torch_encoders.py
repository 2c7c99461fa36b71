"""open_clip and transformers as encoders: the contract, and equal to asking them directly."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.encoder_contract import EncoderContract
from tests.hub_server import Hub, serving
from tests.reference_models import answers
from tools.reference import models
from tools.reference.inputs import TEXTS, pictures

from pixseek import ImageSearchEngine
from pixseek.encoders import Encoder, Options, load_encoder
from pixseek.encoders.torch_device import BATCH, TorchDevice
from pixseek.errors import (
    DeviceUnavailable,
    ModelNotFetched,
    ModelUnavailable,
    UnknownModel,
)
from pixseek.records import Vectors

SAMPLES = Path(__file__).parent.parent.parent / "samples"
OURS = ("open-clip", "transformers-clip", "transformers-siglip")
"""Each way of loading and preparing."""
SAY = Options(on_fetch=lambda _: None)
"""Fetch what is named."""

_place = TemporaryDirectory(prefix="pixseek-tiny-")


@cache
def folder_of(name: str) -> Path:
    """A tiny model of tools.reference on disk, made once."""
    before = Path.cwd()
    os.chdir(_place.name)
    try:
        models.make(name, Path(_place.name) / name)
    finally:
        os.chdir(before)
    return Path(_place.name) / name


def prefix_of(name: str) -> str:
    return "open_clip:local-dir:" if name.startswith("open-clip") else "transformers:"


def named(name: str) -> str:
    return f"{prefix_of(name)}{folder_of(name)}"


def photos() -> list[Image.Image]:
    files = sorted(SAMPLES.glob("*.jpg"))[: BATCH + 3]
    return [Image.open(file).convert("RGB") for file in files]


class TestOpenClip(EncoderContract):
    @staticmethod
    def make() -> Encoder:
        return load_encoder(named("open-clip"))


class TestOpenClipSigLIP2(EncoderContract):
    @staticmethod
    def make() -> Encoder:
        return load_encoder(named("open-clip-siglip2"))


class TestTransformersClip(EncoderContract):
    @staticmethod
    def make() -> Encoder:
        return load_encoder(named("transformers-clip"))


class TestTransformersSigLIP(EncoderContract):
    @staticmethod
    def make() -> Encoder:
        return load_encoder(named("transformers-siglip"))


# Equal to the libraries themselves


def assert_same(ours: Vectors, theirs: torch.Tensor) -> None:
    unit = torch.nn.functional.normalize(theirs.double(), dim=-1).numpy()
    assert ours.shape == unit.shape
    assert ((ours * unit).sum(axis=1) > 1 - 1e-6).all()


@pytest.mark.parametrize("name", models.MODELS)
def test_vectors_are_those_of_the_library_that_the_model_comes_from(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pixseek.encoders.torch_device.BATCH", 4)
    folder_of(name)
    monkeypatch.chdir(_place.name)  # one names a folder that lies beside its own
    encoder, expected = load_encoder(named(name)), answers(name)
    assert_same(encoder.encode_images(pictures()), torch.from_numpy(expected["images"]))
    assert_same(encoder.encode_texts(TEXTS), torch.from_numpy(expected["texts"]))


# What made the vectors


@pytest.mark.parametrize("name", OURS)
def test_the_fingerprint_is_of_weights_and_preparation(name: str, tmp_path: Path) -> None:
    def fingerprint() -> str:
        return load_encoder(f"{prefix_of(name)}{folder}").space.fingerprint

    folder = shutil.copytree(folder_of(name), tmp_path / "copy")
    assert fingerprint() == fingerprint() == load_encoder(named(name)).space.fingerprint
    seen = {fingerprint()}
    (weights,) = folder.glob("*.safetensors")
    tensors = load_file(weights)
    first = next(name for name, value in tensors.items() if value.ndim > 1)
    tensors[first] = tensors[first] * 1.01
    save_file(tensors, weights, metadata={"format": "pt"})
    seen.add(fingerprint())
    config = next(folder.glob("preprocessor_config.json"), folder / "open_clip_config.json")
    said = json.loads(config.read_text())
    said.get("preprocess_cfg", said).update({"mean": [0.1] * 3, "image_mean": [0.1] * 3})
    config.write_text(json.dumps(said))
    seen.add(fingerprint())
    assert len(seen) == 3


@pytest.mark.parametrize("name", OURS)
def test_it_says_what_computes_and_why_nothing_faster_does(name: str) -> None:
    version = ".".join(torch.__version__.split(".")[:2])
    expected = f"torch {version} on the processor (float32); cuda: not available"
    assert load_encoder(named(name)).runs_on == expected
    assert load_encoder(named(name), Options(device="cpu")).runs_on == expected


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("device", ["cuda", "cuda:7", "directml", "no such device"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(name: str, device: str) -> None:
    with pytest.raises(DeviceUnavailable, match=r"cannot be used: .* Choose one of auto, cpu"):
        load_encoder(named(name), Options(device=device))


@pytest.mark.parametrize("name", OURS)
def test_half_precision_as_on_cuda_gives_nearly_the_same_vectors(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(device: TorchDevice, asked: str) -> None:
        usual(device, asked)
        device.dtype = torch.float16

    full = load_encoder(named(name))
    usual = TorchDevice.__init__
    monkeypatch.setattr(TorchDevice, "__init__", half)
    halved = load_encoder(named(name))
    assert "float16" in halved.runs_on
    assert halved.space == full.space
    images, texts = pictures(), ["a cat", "the sea"]
    for ours, theirs in (
        (halved.encode_images(images), full.encode_images(images)),
        (halved.encode_texts(texts), full.encode_texts(texts)),
    ):
        assert ours.dtype == np.float32
        assert ((ours * theirs).sum(axis=1) > 0.999).all()


# What open_clip models are named by


@pytest.fixture
def architecture(tmp_path: Path) -> Iterator[str]:
    """A tiny architecture that open_clip knows by its name."""
    file = tmp_path / "configs" / "ViT-tiny-test.json"
    file.parent.mkdir()
    config = json.loads((folder_of("open-clip") / "open_clip_config.json").read_text())
    file.write_text(json.dumps(config["model_cfg"]))
    open_clip.add_model_config(file)
    yield file.stem
    paths = sys.modules["open_clip.factory"]._MODEL_CONFIG_PATHS
    paths.remove(file)
    sys.modules["open_clip.factory"]._MODEL_CONFIGS.pop(file.stem)


def tensors() -> dict[str, torch.Tensor]:
    return dict(load_file(folder_of("open-clip") / "open_clip_model.safetensors"))


def save_safetensors(file: Path) -> None:
    save_file(tensors(), file)


def save_of_training(file: Path) -> None:
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in tensors().items()}}, file)


@pytest.mark.parametrize(
    ("ending", "save"),
    [(".safetensors", save_safetensors), (".pt", save_of_training), (".bin", save_of_training)],
)
def test_a_checkpoint_is_named_by_its_architecture_and_its_file(
    architecture: str,
    ending: str,
    save: Callable[[Path], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / f"my tuned{ending}"
    save(file)
    encoder = load_encoder(f"open_clip:{architecture}/{file}")
    monkeypatch.chdir(tmp_path)
    same = load_encoder(f"open_clip:{architecture}/{file.name}")
    assert same.space == encoder.space
    assert encoder.space.model == f"open_clip:{architecture}/{file}"
    model, _, transform = open_clip.create_model_and_transforms(architecture, str(file))
    with torch.inference_mode():
        seen = model.eval().encode_image(torch.stack([transform(image) for image in photos()]))
    assert_same(encoder.encode_images(photos()), seen)


class Trap:
    """What a malicious pickle holds."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('the pickle has run')",)


@pytest.mark.parametrize("pickled", [True, False])
def test_a_checkpoint_that_would_run_code_is_refused(
    architecture: str, pickled: bool, tmp_path: Path
) -> None:
    file = tmp_path / "malicious.pt"
    if pickled:
        file.write_bytes(pickle.dumps(Trap()))
    else:
        torch.save({"state_dict": Trap()}, file)
    with pytest.raises(ModelUnavailable, match="open_clip does not load it"):
        load_encoder(f"open_clip:{architecture}/{file}")


@pytest.mark.parametrize("name", ["open_clip_pytorch_model.bin", "a.pth", None])
def test_a_folder_without_safetensors_is_refused(name: str | None, tmp_path: Path) -> None:
    folder = shutil.copytree(folder_of("open-clip"), tmp_path / "copy")
    (folder / "open_clip_model.safetensors").unlink()
    if name is not None:
        torch.save(tensors(), folder / name)
        save_file({"other": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(ModelUnavailable, match=r"no weights as open_clip_model\.safetensors"):
        load_encoder(f"open_clip:local-dir:{folder}")


def test_an_architecture_or_weights_that_open_clip_does_not_know_are_refused_with_near_ones() -> (
    None
):
    with pytest.raises(UnknownModel, match=r"known are .*open_clip:ViT-B-32-256") as caught:
        load_encoder("open_clip:ViT-B-32-257/laion2b_s34b_b79k")
    assert caught.value.name == "open_clip:ViT-B-32-257/laion2b_s34b_b79k"
    with pytest.raises(UnknownModel, match="known are open_clip:ViT-B-32-256/datacomp_s34b_b86k"):
        load_encoder("open_clip:ViT-B-32-256/laion")
    with pytest.raises(UnknownModel, match="known are"):
        load_encoder("open_clip:ViT-B-32-256")
    with pytest.raises(ModelUnavailable, match="there is no file"):
        load_encoder("open_clip:ViT-B-32-256//no/such/file.safetensors")


# What is missing or damaged


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("damage", ["cut", "missing", "other"])
def test_damaged_weights_are_a_model_unavailable(name: str, damage: str, tmp_path: Path) -> None:
    folder = shutil.copytree(folder_of(name), tmp_path / "copy")
    (weights,) = folder.glob("*.safetensors")
    kept = load_file(weights)
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif damage == "missing":
        kept.popitem()
        save_file(kept, weights, metadata={"format": "pt"})
    else:
        save_file({"other": torch.zeros(1)}, weights, metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match="does not load it"):
        load_encoder(f"{prefix_of(name)}{folder}")


@pytest.mark.parametrize("name", OURS)
def test_a_folder_that_holds_no_such_model_is_a_model_unavailable(
    name: str, tmp_path: Path
) -> None:
    runtime = prefix_of(name).partition(":")[0]
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        load_encoder(f"{runtime}:{tmp_path}")
    with pytest.raises(ModelUnavailable, match="there is no folder"):
        load_encoder(f"{runtime}:{tmp_path / 'absent'}")


def test_a_transformers_model_without_two_halves_is_refused(tmp_path: Path) -> None:
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    config = transformers.BertConfig(**small, num_attention_heads=2, vocab_size=30)
    transformers.BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(ModelUnavailable, match="BertModel has no vectors of pictures and texts"):
        load_encoder(f"transformers:{tmp_path}")


def test_code_that_comes_with_a_model_is_not_run(tmp_path: Path) -> None:
    folder = shutil.copytree(folder_of("transformers-clip"), tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "strange", "auto_map": {"AutoConfig": "code.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text("raise SystemExit('code has run')")
    with pytest.raises(ModelUnavailable, match="does not load it"):
        load_encoder(f"transformers:{folder}")


# The hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with the tiny models, and files that are not to be fetched."""
    with serving() as made:
        for name in OURS:
            files = {file.name: file.read_bytes() for file in folder_of(name).iterdir()}
            useless = {"pytorch_model.bin": b"pickled", "README.md": b"# A model"}
            made.commit(f"someone/{name}", files | useless)
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", made.url)
        yield made


def on_hub(name: str) -> str:
    kind = "open_clip:hf-hub" if name == "open-clip" else "transformers"
    return f"{kind}:someone/{name}"


@pytest.mark.parametrize("name", OURS)
def test_a_model_of_the_hub_is_fetched_once_and_then_needs_no_network(name: str, hub: Hub) -> None:
    with pytest.raises(ModelNotFetched, match="offline"):
        load_encoder(on_hub(name), Options(offline=True))
    assert hub.requests == []
    fetched = load_encoder(on_hub(name), SAY)
    assert not any("pytorch_model.bin" in one or "README" in one for one in hub.asked())
    hub.requests.clear()
    offline = load_encoder(on_hub(name), Options(offline=True))
    assert hub.requests == []
    assert offline.space == fetched.space
    assert fetched.space.fingerprint == load_encoder(named(name)).space.fingerprint
    images = pictures()
    np.testing.assert_array_equal(
        offline.encode_images(images), load_encoder(named(name)).encode_images(images)
    )


def test_weights_that_open_clip_has_a_name_for_are_fetched_from_their_repository(
    architecture: str, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = sys.modules["open_clip.pretrained"]._PRETRAINED
    tag = {"hf_hub": "someone/open-clip/", "quick_gelu": True, "resize_mode": "squash"}
    colours = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}
    tag |= {**colours, "interpolation": "bilinear"}
    monkeypatch.setitem(known, architecture, {"some_weights": tag})
    encoder = load_encoder(f"open_clip:{architecture}/some_weights", SAY)
    assert any("someone/open-clip" in one for one in hub.asked())
    model, _, transform = open_clip.create_model_and_transforms(
        architecture,
        str(folder_of("open-clip") / "open_clip_model.safetensors"),
        force_quick_gelu=True,
        image_mean=colours["mean"],
        image_std=colours["std"],
        image_interpolation="bilinear",
        image_resize_mode="squash",
    )
    with torch.inference_mode():
        seen = model.eval().encode_image(torch.stack([transform(image) for image in photos()]))
    assert_same(encoder.encode_images(photos()), seen)


def test_a_repository_that_has_pickles_only_is_refused(hub: Hub) -> None:
    hub.commit("someone/pickled", {"pytorch_model.bin": b"pickled", "config.json": b"{}"})
    for name in ("transformers:someone/pickled", "open_clip:hf-hub:someone/pickled"):
        with pytest.raises(ModelNotFetched, match="in a layout that is known"):
            load_encoder(name, SAY)


# From beginning to end


@pytest.mark.parametrize("name", OURS)
def test_a_library_is_indexed_and_searched_with_it(name: str, tmp_path: Path) -> None:
    files = sorted(SAMPLES.glob("*.jpg"))
    with ImageSearchEngine(tmp_path / "library", model=named(name)) as engine:
        report = engine.index_images(SAMPLES)
        assert (report.added, report.skipped) == (len(files), [])
        for file in files[:3]:
            assert engine.search_by_image(file, k=1)[0].path == file
        assert len(engine.search_by_text("a cat", k=5)) == 5
    with ImageSearchEngine(tmp_path / "library", create=False) as engine:
        assert engine.status().space == load_encoder(named(name)).space
        assert engine.index_images(SAMPLES).unchanged == len(files)
