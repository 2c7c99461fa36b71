"""Exporting for real: models of open_clip and transformers → folders that give the same vectors."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.reference_models import answers
from tools.reference import models
from tools.reference.inputs import TEXTS, pictures

from pixseek.cli import main
from pixseek.encoders import Options, load_encoder
from pixseek.encoders import export as exporting
from pixseek.encoders.export import MOST_APART, export
from pixseek.encoders.references import Half
from pixseek.errors import ExportFailed


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", models.MODELS)
def test_an_export_gives_the_vectors_of_the_reference(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "exported"
    done = export(models.make(name, tmp_path / name), folder)
    assert max(done.images_apart, done.texts_apart) <= MOST_APART
    assert done.folder == folder
    encoder, expected = load_encoder(str(folder), Options(device="cpu")), answers(name)
    for rows, wanted in (
        (encoder.encode_images(pictures()), expected["images"]),
        (encoder.encode_texts(TEXTS), expected["texts"]),
    ):
        np.testing.assert_allclose((rows * wanted).sum(axis=1), 1, atol=MOST_APART)


def test_an_export_is_complete_and_says_nothing_of_the_machine(tmp_path: Path) -> None:
    folder = tmp_path / "exported"
    export(models.make("open-clip", tmp_path / "model"), folder)
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {line.partition("  ")[2] for line in lines} == files - {"SHA256SUMS"}
    for line in lines:
        digest, _, name = line.partition("  ")
        content = (folder / name).read_bytes()
        assert sha256(content).hexdigest() == digest
        assert str(tmp_path).encode() not in content
        assert b"site-packages" not in content


def test_int8_halves_the_weights_twice_and_says_what_it_costs(tmp_path: Path) -> None:
    source = models.make("transformers-siglip2", tmp_path / "model")
    full, small = export(source, tmp_path / "full"), export(source, tmp_path / "small", int8=True)
    assert small.quantised == ("vision", "text")
    assert small.images_apart == pytest.approx(full.images_apart, abs=1e-6)
    for apart in (small.int8_images_apart, small.int8_texts_apart):
        assert apart is not None
        assert 0 < apart < 0.01
    graph = onnx.load(tmp_path / "small/onnx/text_model.onnx").graph
    kinds = {one.name: one.data_type for one in graph.initializer}
    products = [node.input[1] for node in graph.node if node.op_type == "MatMulInteger"]
    assert {kinds[name] for name in products} == {onnx.TensorProto.INT8}
    # What is left in float is less than the token embedding alone had.
    left = sum(np.prod(one.dims) for one in graph.initializer if one.data_type == 1)
    assert left < 800 * 24


def test_a_convolutional_tower_stays_as_it_is(tmp_path: Path) -> None:
    source = models.make("open-clip-mobileclip", tmp_path / "model")
    done = export(source, tmp_path / "small", int8=True)
    assert done.quantised == ("text",)
    assert done.int8_images_apart == pytest.approx(done.images_apart)


def test_the_command_exports_and_tells_how_near_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models.make("open-clip", tmp_path / "model")
    folder = tmp_path / "exported"
    assert main(["models", "export", str(tmp_path / "model"), str(folder), "--int8"]) == 0
    printed = capsys.readouterr().out
    assert str(folder) in printed
    assert "with 8 bits" in printed
    assert load_encoder(str(folder)).encode_texts(["a"]).shape == (1, 24)


# what is refused


@pytest.mark.parametrize("name", ["open-clip", "transformers-siglip2"])
def test_a_pickle_is_never_opened(name: str, tmp_path: Path) -> None:
    source = models.make(name, tmp_path / "model")
    (weights,) = (tmp_path / "model").glob("*.safetensors")
    torch.save(load_file(weights), tmp_path / "model" / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(ExportFailed, match=r"pickle, which can run code.*expected a .safetensors"):
        export(source, tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("nothing", "no source that is known; expected open_clip:MODEL/PRETRAINED"),
        ("open_clip:No-Such-Model/x", "open_clip has no model 'No-Such-Model'"),
        ("open_clip:ViT-B-32/no-such-tag", "no weights 'no-such-tag' for 'ViT-B-32'; expected a"),
        ("open_clip:ViT-B-32", "no weights '' for 'ViT-B-32'"),
    ],
)
def test_a_source_that_is_none_is_refused_with_what_was_expected(
    source: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportFailed, match=reason) as caught:
        export(source, tmp_path / "exported")
    assert caught.value.source == source


def test_open_clip_weights_can_be_a_file(tmp_path: Path) -> None:
    models.make("open-clip", tmp_path / "model")
    weights = tmp_path / "model" / "open_clip_model.safetensors"
    pickled = tmp_path / "weights.pt"
    pickled.touch()
    with pytest.raises(ExportFailed, match="pickle"):
        export(f"open_clip:ViT-B-32/{pickled}", tmp_path / "exported")
    with pytest.raises(ExportFailed, match="open_clip cannot open it"):  # it is of another model
        export(f"open_clip:ViT-B-32/{weights}", tmp_path / "exported")


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(ExportFailed, match="exists already; expected a new folder"):
        export("open_clip:ViT-B-32/any", tmp_path / "full")
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


def test_an_export_that_differs_from_its_reference_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = exporting.write_graph

    def write_and_spoil(source: str, half: Half, file: Path) -> None:
        write(source, half, file)
        if half.name == "vision":
            spoilt = onnx.load(file)
            for one in spoilt.graph.initializer:
                if one.data_type == onnx.TensorProto.FLOAT and len(one.dims) == 2:
                    values = onnx.numpy_helper.to_array(one)
                    one.CopyFrom(onnx.numpy_helper.from_array(values * 0.8, one.name))
            onnx.save(spoilt, file)

    monkeypatch.setattr(exporting, "write_graph", write_and_spoil)
    with pytest.raises(ExportFailed, match=r"pictures are .* apart .*; expected at most 1e-04"):
        export(models.make("open-clip", tmp_path / "model"), tmp_path / "exported")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_tokenizer_that_reads_other_ids_is_not_kept(tmp_path: Path) -> None:
    source = models.make("transformers-siglip", tmp_path / "model")
    file = tmp_path / "model" / "tokenizer_config.json"
    names = json.loads(file.read_text())
    # transformers then keeps capitals, which the file for ONNX does not know of.
    file.write_text(json.dumps({**names, "do_lower_case": False}))
    with pytest.raises(ExportFailed, match="the tokenizer's file reads 'Ünïcödé"):
        export(source, tmp_path / "exported")


def test_a_model_of_another_class_is_refused(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    BertModel(BertConfig(vocab_size=20, intermediate_size=8, **small)).save_pretrained(
        tmp_path / "b"
    )
    with pytest.raises(ExportFailed, match="its class is BertModel; expected CLIPModel or Siglip"):
        export(f"transformers:{tmp_path / 'b'}", tmp_path / "exported")


def test_weights_that_are_not_numbers_are_not_exported(tmp_path: Path) -> None:
    models.make("open-clip", tmp_path / "model")
    file = tmp_path / "model" / "open_clip_model.safetensors"
    weights = load_file(file)
    save_file({**weights, "visual.proj": weights["visual.proj"] * float("nan")}, file)
    with pytest.raises(ExportFailed, match="pictures are nan"):
        export(str(tmp_path / "model"), tmp_path / "exported")
