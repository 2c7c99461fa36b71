"""`python -m tools.reference` makes the models and answers in tests/reference again.

Run it from a checkout's root with the packages of the extra `export`, sentencepiece and protobuf.
Its weights come from seeds; other versions of the libraries may give other ones.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from pixseek.encoders import Options, hub, layouts, preprocess
from pixseek.encoders.catalog import Model
from pixseek.encoders.export import export, write_graph
from pixseek.encoders.onnx import load
from pixseek.encoders.references import Reference, open_reference
from tools.reference import models, variants
from tools.reference.inputs import FOLDER, MODELS, PARITY, TEXTS, pictures

LIBRARIES = (
    *("open_clip_torch", "transformers", "timm", "torch", "torchvision", "tokenizers", "pillow"),
    *("ftfy", "onnx", "onnxscript", "onnxruntime", "numpy"),
)


def answers(reference: Reference) -> dict[str, Any]:
    """What the library itself makes of the inputs, as arrays by name."""
    images, texts = pictures(), list(TEXTS)
    with torch.no_grad():
        return {
            "pixels": reference.pixels(images).numpy(),
            "ids": reference.tokens(texts).astype(np.int32),
            "images": reference.image_vectors(images),
            "texts": reference.text_vectors(texts),
        }


def parity(folder: Path, expected: dict[str, Any]) -> dict[str, Any]:
    """How far what pixseek makes of the inputs is from the library's answers."""
    model = Model(str(folder), "OpenCLIP", "onnx", "", "", "", str(folder))
    encoder = load(model, Options(device="cpu"))
    parts = layouts.read(folder, model)
    std = np.array(parts.images.std, np.float32)[:, None, None]
    made = preprocess.pixels(pictures(), parts.images)
    tokenizer = preprocess.read_tokenizer(parts.tokenizer)
    reader = preprocess.Texts(tokenizer, parts.texts, pad_token=parts.pad_token)
    tokens = reader.tokens(TEXTS, expected["ids"].shape[1])
    seen = tokens.mask.astype(bool)
    found = {"images": encoder.encode_images(pictures()), "texts": encoder.encode_texts(TEXTS)}
    apart = {
        f"{name}_apart": float((1 - (rows * expected[name]).sum(1, dtype=np.float64)).max())
        for name, rows in found.items()
    }
    return {
        "pixels_apart": float(np.abs((made - expected["pixels"]) * std).max()),
        "ids_equal": bool((tokens.ids[seen] == expected["ids"][seen]).all()),
        **apart,
    }


def _torchvision_apart(source: str, pixels: Any) -> float:
    """How far the two ways in which transformers resizes are from each other, in 0 to 1."""
    from transformers import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(source.partition(":")[2], backend="torchvision")
    other = processor(images=pictures(), return_tensors="pt")["pixel_values"].numpy()
    std = np.array(processor.image_std, np.float32)[:, None, None]
    return float(np.abs((other - pixels) * std).max())


def _make(name: str, place: Path) -> dict[str, Any]:
    """One model: exported into `place`, its answers written; returns its row of the table."""
    source = models.make(name, Path.cwd() / name)
    folder = place / name
    export(source, folder)
    reference = open_reference(source)
    expected = answers(reference)
    np.savez_compressed(FOLDER / f"{name}.npz", **expected)
    row = {"model": name, "layout": reference.layout, **parity(folder, expected)}
    if reference.layout == "transformers":
        row["pixels_of_torchvision_apart"] = _torchvision_apart(source, expected["pixels"])
    done = asdict(export(source, Path.cwd() / f"{name}-int8", int8=True))
    row |= {key: done[key] for key in ("quantised", "int8_images_apart", "int8_texts_apart")}
    if name == "transformers-clip":
        variants.add_precisions(folder, Path.cwd() / f"{name}-int8", reference)
    if name in ("open-clip", "open-clip-siglip"):
        fixed = place / f"{name}-fixed"
        variants.copy(folder, fixed)
        for half in (reference.vision, reference.text):
            example = half.example[:1]
            if half.name == "text":
                example = reference.ids(["a photo"]).to(example.dtype)
            with torch.no_grad():
                write_graph(source, replace(half, example=example, free=()), fixed / half.file)
    for one in place.rglob(hub.CHECKSUMS):
        one.unlink()
    return row


def main() -> None:
    """Make everything anew."""
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as work:
        os.chdir(work)
        place = Path(work) / "exported"
        place.mkdir()
        rows = []
        for name in models.MODELS:
            rows.append(_make(name, place))
            print(json.dumps(rows[-1]))
        variants.pack(place, MODELS)
    made = {"versions": {name: version(name) for name in LIBRARIES}, "models": rows}
    PARITY.write_text(json.dumps(made, indent=2) + "\n")


if __name__ == "__main__":
    main()
