"""Which files of a repository a model needs: never more, and nothing that runs code when opened."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, NamedTuple

from pixseek.errors import ModelNotFetched

if TYPE_CHECKING:
    from pixseek.encoders.catalog import Model

_DATA = r"(\.data|_data(_\d+)?)"
"""What the name of an .onnx file is followed by in that of its weights, when they lie beside it."""

OPEN_CLIP_WEIGHTS = (
    *("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors"),
    "model.safetensors",
)
"""In the order in which open_clip takes them; the last may be weights for transformers."""

_TEXTS = (
    r"(config|vocab|added_tokens|tokenizer|tokenizer_config|special_tokens_map)\.json",
    r"(merges|vocab)\.txt",
    r"(tokenizer|spiece|sentencepiece\.bpe)\.model",
)
"""Tokenizers, and configurations of text towers."""


class Layout(NamedTuple):
    """How files lie in a repository: regular expressions of whole paths."""

    needed: tuple[str, ...]
    helpful: tuple[str, ...]


def chosen(model: Model, paths: Collection[str]) -> list[str]:
    """The paths of the files that the model needs, sorted, of all that its repository has.

    Raises ModelNotFetched when they lie in no way that is known.
    """
    for layout in _layouts(model):
        if all(_matching(pattern, paths) for pattern in layout.needed):
            found = [_matching(pattern, paths) for pattern in (*layout.needed, *layout.helpful)]
            return sorted({path for some in found for path in some})
    reason = f"{model.source} holds no {model.runtime} model in a layout that is known"
    variants = sorted(
        match["variant"]
        for path in paths
        if (match := re.fullmatch(r"onnx/vision_model_(?P<variant>\w+)\.onnx", path))
    )
    if model.runtime == "onnx" and variants:
        names = ", ".join(f"{model.name.partition('#')[0]}#{one}" for one in variants)
        reason += f"; it has the variants {names}"
    raise ModelNotFetched(model.name, model.source, reason)


def _layouts(model: Model) -> Iterator[Layout]:
    if model.runtime == "onnx":
        if not model.variant:
            yield Layout(
                (r"visual/model\.onnx", r"textual/model\.onnx", r"textual/tokenizer\.json"),
                (
                    rf"(visual|textual)/model\.onnx{_DATA}",
                    r"(visual|textual)/[\w-]+\.data",
                    r"visual/preprocess_cfg\.json",
                    r"textual/(tokenizer_config|special_tokens_map)\.json",
                    r"config\.json",
                ),
            )
        variant = f"_{model.variant}" if model.variant else ""
        yield Layout(
            (
                rf"onnx/vision_model{variant}\.onnx",
                rf"onnx/text_model{variant}\.onnx",
                r"tokenizer\.json",
            ),
            (
                rf"onnx/(vision|text)_model{variant}\.onnx{_DATA}",
                r"(preprocessor_config|tokenizer_config|special_tokens_map|config)\.json",
            ),
        )
    elif model.runtime == "open_clip":
        for weights in OPEN_CLIP_WEIGHTS:
            yield Layout((r"open_clip_config\.json", re.escape(weights)), _TEXTS)
    else:
        yield Layout(
            (r"config\.json", r"model(-\d+-of-\d+)?\.safetensors"),
            (r"model\.safetensors\.index\.json", r"(pre)?processor_config\.json", *_TEXTS),
        )


def _matching(pattern: str, paths: Collection[str]) -> list[str]:
    return [path for path in paths if re.fullmatch(pattern, path)]
