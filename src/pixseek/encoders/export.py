"""Models of open_clip and transformers → folders that the runtime `onnx` reads, checked for parity.

Needs the extra `export` (torch and the libraries the models come from); searching never does.
Weights are read from safetensors files only: the other checkpoints are pickles, and a pickle can
run code when it is opened.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from PIL import Image

from pixseek.encoders import hub, layouts, preprocess
from pixseek.encoders.catalog import Model
from pixseek.encoders.onnx import OnnxEncoder
from pixseek.encoders.providers import CPU, choose
from pixseek.encoders.references import Half, Reference, first_line, open_reference
from pixseek.errors import ExportFailed, ModelUnavailable
from pixseek.records import Exported

MOST_APART = 1e-4
"""1 - cosine between reference and export at most."""
LARGE_BYTES = 1_800_000_000
"""Weights beyond go into a file of their own: an ONNX file cannot have 2 GB."""
OPSET = 18

TEXTS = (
    "a photo of a cat",
    "",
    "two dogs on a beach at sunset, seen from far above",
    "Ünïcödé: «güzel», 20 €, £5 – “quoted”, it's",
    "fish &amp; chips &lt;3",
    "一只猫在树上",
    "قطة على الشجرة",
    "кошка на дереве",
    "👩🏽‍🚀🏳️‍🌈 party",
    "a_b-c.d/e #tag @home 100%",
    "a very long text that is cut off " * 20,
)
"""What parity is checked with."""


def export(source: str, folder: Path, *, int8: bool = False) -> Exported:
    """Write the model of that source into a new folder.

    source: `open_clip:MODEL/PRETRAINED`, `open_clip:hf-hub:OWNER/NAME`, a folder with
        open_clip_config.json; `transformers:OWNER/NAME`, a folder with a transformers model.
    int8: also quantise weights to 8 bits, with a scale for each column; those that are multiplied
        are signed, which is the fast kind (the token embedding is only looked up). Convolutional
        towers are left as they are: there it costs accuracy and time (docs/models.md).
    Raises ExportFailed when the folder is not empty, when the checkpoint is a pickle, and when the
    export is not equal to its reference; then nothing is left behind.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportFailed(source, f"{str(folder)!r} exists already; expected a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        unfinished = Path(stack.enter_context(TemporaryDirectory(dir=folder.parent)))
        made = unfinished / "model"
        made.mkdir()
        with torch.no_grad():
            done = _written(open_reference(source), made, folder, int8)
        _write_checksums(made)
        if folder.exists():
            folder.rmdir()
        shutil.move(made, folder)
    return done


def _written(reference: Reference, made: Path, folder: Path, int8: bool) -> Exported:
    halves = (reference.vision, reference.text)
    for name, content in reference.files.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(content)
    for half in halves:
        write_graph(reference.source, half, made / half.file)
    _check_tokens(reference, made)
    images, texts = sample_images(), list(TEXTS)
    expected = reference.image_vectors(images), reference.text_vectors(texts)
    apart = _apart(reference, made, images, texts, expected)
    if not all(one <= MOST_APART for one in apart):  # nor may it be nan
        raise ExportFailed(
            reference.source,
            f"pictures are {apart[0]:.1e} and texts {apart[1]:.1e} apart (1 - cosine) from those "
            f"of its reference; expected at most {MOST_APART:.0e}",
        )
    done = Exported(folder, 0, *apart)
    if int8:
        quantised = tuple(half.name for half in halves if _quantise(made / half.file))
        after = _apart(reference, made, images, texts, expected)
        done = Exported(folder, 0, *apart, quantised, *after)
    size = sum(file.stat().st_size for file in made.rglob("*") if file.is_file())
    return replace(done, size_bytes=size)


def sample_images() -> list[Image.Image]:
    """What parity is checked with: smooth colours and noise, of awkward sizes."""
    rng = np.random.default_rng(7)
    made = []
    for width, height in ((640, 480), (333, 500), (97, 411), (1200, 301)):
        small = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
        smooth = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), np.int16)
        noise = rng.integers(-30, 30, smooth.shape)
        made.append(Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8)))
    return made


def write_graph(source: str, half: Half, file: Path) -> None:
    """Trace a half of a model into an ONNX file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    names = [f"length_{axis}" if axis else "batch" for axis in half.free]
    size = sum(weight.numel() * weight.element_size() for weight in half.module.parameters())
    try:
        program = torch.onnx.export(
            half.module,
            (half.example.clone(),),
            input_names=[half.input],
            dynamic_shapes=(dict(zip(half.free, names, strict=True)),),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        reason = f"torch cannot trace its {half.name} half ({first_line(error)})"
        raise ExportFailed(source, reason) from error
    graph = program.model.graph
    # A step in between may have the name that the output should get.
    for value in (one for node in graph for one in node.outputs if one.name == half.output):
        value.name = f"{half.output}_inside"
    graph.outputs[0].name = half.output
    without_notes(graph)
    program.save(str(file), external_data=size > LARGE_BYTES)


def without_notes(graph: Any) -> None:
    """Take the paths of this machine out of a graph that was traced on it."""
    for node in graph:
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()


def _model(reference: Reference) -> Model:
    """The folder as the encoder sees one that no catalog knows: by its own files."""
    return Model(reference.source, "OpenCLIP", "onnx", "", "", "")


def _check_tokens(reference: Reference, made: Path) -> None:
    parts = layouts.read(made, _model(reference))
    tokenizer = preprocess.read_tokenizer(parts.tokenizer)
    reader = preprocess.Texts(tokenizer, parts.texts, pad_token=parts.pad_token)
    expected = reference.tokens(list(TEXTS))
    found = reader.tokens(TEXTS, expected.shape[1])
    for text, ours, mask, theirs in zip(TEXTS, found.ids, found.mask, expected, strict=True):
        # What fills up is only read by the towers that are given it as a part of the text.
        end = int(mask.sum())
        if (ours[:end] != theirs[:end]).any() or len(set(theirs[end:].tolist())) > 1:
            raise ExportFailed(
                reference.source,
                f"the tokenizer's file reads {text[:40]!r} as {ours[:end].tolist()}, expected "
                f"{theirs.tolist()}",
            )


def _apart(
    reference: Reference,
    made: Path,
    images: Sequence[Image.Image],
    texts: Sequence[str],
    expected: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> tuple[float, float]:
    """The worst 1 - cosine of pictures and of texts, through everything that a search does."""
    encoder = OnnxEncoder(_model(reference), made, choose("cpu", [CPU]), sure=True)
    try:
        found = encoder.encode_images(images), encoder.encode_texts(texts)
    except ModelUnavailable as error:
        raise ExportFailed(reference.source, f"what was written does not run: {error}") from error
    (made / hub.CHECKSUMS).unlink(missing_ok=True)  # it may have been made on the way
    pictures, words = (
        float((1 - (ours * theirs).sum(axis=1, dtype=np.float64)).max())
        for ours, theirs in zip(found, expected, strict=True)
    )
    return pictures, words


def _quantise(file: Path) -> bool:
    """Make the weights of a graph int8, the token embedding too; returns whether it was done."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    graph = onnx.load(file, load_external_data=False).graph
    if sum(node.op_type == "Conv" for node in graph.node) > 1:  # one cuts a picture into patches
        return False
    large = sum(one.stat().st_size for one in file.parent.iterdir()) > LARGE_BYTES
    prepared, made = file.with_name("prepared.onnx"), file.with_name("int8.onnx")
    quant_pre_process(
        str(file), str(prepared), skip_symbolic_shape=True, save_as_external_data=large
    )
    quantize_dynamic(
        prepared,
        made,
        op_types_to_quantize=["MatMul", "Gemm", "Gather"],
        per_channel=True,
        weight_type=QuantType.QInt8,
        use_external_data_format=large,
    )
    for one in file.parent.glob(f"{file.name}*"):
        one.unlink()
    for one in file.parent.glob("prepared*"):
        one.unlink()
    made.rename(file)
    return True


def _write_checksums(folder: Path) -> None:
    lines = [
        f"{_hash(file)}  {file.relative_to(folder).as_posix()}\n"
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    ]
    (folder / hub.CHECKSUMS).write_text("".join(lines), "utf-8")


def _hash(file: Path) -> str:
    found = sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            found.update(block)
    return found.hexdigest()
