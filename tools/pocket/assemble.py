"""The five runtime files from fitted parts, written beside the old ones and then put in place."""

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from onnx import compose
from torch import Tensor

from .export import to_onnx
from .graphs import ImageHead, TextGraph
from .quantize import multiply_small, store_small
from .towers import MAX_TOKENS, TextTower, load_tokenizer, token_batch, tokenizer_settings

RUNTIME_FILES = ("image.onnx", "text.onnx", "tokenizer.json", "config.json")


@dataclass(frozen=True)
class FittedParts:
    """What was fitted. `tower_graph`: path of the quantised towers, pixels → pooled, logits."""

    tower_graph: Path
    head: ImageHead
    text_tower: TextTower
    text_mean: Tensor
    text_map: Tensor
    image_size: int
    looks: int
    image_text_cosine: dict[str, dict[str, float]]


def write_image_graph(parts: FittedParts, path: Path) -> None:
    """Join the quantised towers and the head; both their matrices are multiplied in 8 bits."""
    head_path = path.with_name("head.onnx")
    features = parts.head.looks.shape[1]
    sample = {"pooled": torch.zeros(2, features), "logits": torch.zeros(2, 1000)}
    axes = {name: {0: "n"} for name in (*sample, "embedding")}
    to_onnx(parts.head, sample, ["embedding"], head_path, axes)
    towers, head = onnx.load(parts.tower_graph), onnx.load(head_path)
    head.ir_version = towers.ir_version
    del head.opset_import[:]
    head.opset_import.extend(towers.opset_import)
    joined = compose.merge_models(
        towers,
        compose.add_prefix(head, "head/"),
        io_map=[("pooled", "head/pooled"), ("logits", "head/logits")],
    )
    _rename_output(joined, "head/embedding", "embedding")
    onnx.save(joined, path)
    multiply_small(path)
    head_path.unlink()


def _rename_output(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        for index, name in enumerate(node.output):
            if name == old:
                node.output[index] = new
    model.graph.output[0].name = new


def write_text_graph(parts: FittedParts, path: Path) -> None:
    """The text tower and its map; weights stored in 8 bits, sums in float32."""
    graph = TextGraph(parts.text_tower, parts.text_mean, parts.text_map, parts.looks)
    ids, mask = token_batch(load_tokenizer(), ["a dog", "two children play in the snow"])
    axes = {name: {0: "m", 1: "t"} for name in ("input_ids", "attention_mask")}
    inputs = {"input_ids": ids, "attention_mask": mask}
    to_onnx(graph, inputs, ["embedding"], path, axes | {"embedding": {0: "m"}})
    store_small(path)


def write_all(parts: FittedParts, out: Path) -> None:
    """Write every runtime file and SHA256SUMS; each file is replaced in one step."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as name:
        fresh = Path(name)
        write_image_graph(parts, fresh / "image.onnx")
        write_text_graph(parts, fresh / "text.onnx")
        (fresh / "tokenizer.json").write_text(
            json.dumps(tokenizer_settings(), ensure_ascii=False, separators=(",", ":")), "utf-8"
        )
        write_config(parts, fresh / "config.json")
        write_sums(fresh)
        for path in fresh.iterdir():
            path.replace(out / path.name)


def write_config(parts: FittedParts, path: Path) -> None:
    """What the runtime must know to feed the graphs."""
    dimensions = parts.head.class_texts.shape[1] + parts.looks
    config = {
        "name": "pocket",
        "version": 1,
        "dimensions": dimensions,
        "image_size": parts.image_size,
        "resample": "bicubic",
        "max_tokens": MAX_TOKENS,
        "pad_token_id": 0,
        "licence": "Apache-2.0",
        "image_text_cosine": parts.image_text_cosine,
    }
    path.write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def write_sums(folder: Path) -> None:
    """SHA256SUMS of the runtime files, as `sha256sum -c` reads it."""
    lines = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in RUNTIME_FILES
    ]
    (folder / "SHA256SUMS").write_text("".join(lines), "utf-8")
