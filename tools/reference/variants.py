"""The same models in the other forms that exports on the hub have, and all of them in one file."""

from __future__ import annotations

import lzma
import shutil
import tarfile
from pathlib import Path
from typing import Any

import onnx
import torch
from onnxruntime.transformers.float16 import convert_float_to_float16

from pixseek.encoders.export import without_notes
from pixseek.encoders.references import Reference


def copy(folder: Path, to: Path) -> None:
    shutil.copytree(folder, to)


def add_precisions(folder: Path, int8: Path, reference: Reference) -> None:
    """A transformers folder as those on the hub: `_int8`, `_fp16`, and one that wants a mask."""
    for half in ("vision", "text"):
        file = folder / f"onnx/{half}_model.onnx"
        shutil.copy(int8 / f"onnx/{half}_model.onnx", file.with_name(f"{half}_model_int8.onnx"))
        small = convert_float_to_float16(onnx.load(file), keep_io_types=False)
        onnx.save(small, file.with_name(f"{half}_model_fp16.onnx"))
    shutil.copy(folder / "onnx/vision_model.onnx", folder / "onnx/vision_model_masked.onnx")
    _write_masked(reference, folder / "onnx/text_model_masked.onnx")


class _Masked(torch.nn.Module):
    """CLIP's text half as optimum exports it: all that its model takes and gives."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        tower = self.model.text_model
        made = tower(input_ids=ids, attention_mask=mask, position_ids=positions)
        return made.last_hidden_state, self.model.text_projection(made.pooler_output)


def _write_masked(reference: Reference, file: Path) -> None:
    model = _Masked(reference.text.module.model).eval()
    ids = reference.text.example.clone()
    free = {0: "batch", 1: "length"}
    positions = torch.arange(ids.shape[1])[None].repeat(2, 1)
    with torch.no_grad():
        program = torch.onnx.export(
            model,
            (ids, torch.ones_like(ids), positions),
            input_names=["input_ids", "attention_mask", "position_ids"],
            output_names=["last_hidden_state", "text_embeds"],
            dynamic_shapes=(free, free, free),
            opset_version=18,
            dynamo=True,
            verbose=False,
        )
    without_notes(program.model.graph)
    program.save(str(file))


def pack(folder: Path, file: Path) -> None:
    """One archive, the same bytes for the same files."""
    with (
        lzma.open(file, "wb", preset=9 | lzma.PRESET_EXTREME) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for one in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(one.relative_to(folder).as_posix())
            entry.size = one.stat().st_size
            with one.open("rb") as content:
                archive.addfile(entry, content)
