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
    else:
        yield Layout(
            (
                r"open_clip_config\.json" if model.runtime == "open_clip" else r"config\.json",
                r"(open_clip_)?model(-\d+-of-\d+)?\.safetensors",
            ),
            (
                r"(open_clip_)?model\.safetensors\.index\.json",
                r"(config|preprocessor_config|processor_config|vocab|added_tokens)\.json",
                r"(tokenizer|tokenizer_config|special_tokens_map)\.json",
                r"merges\.txt",
                r"(tokenizer|spiece|sentencepiece\.bpe)\.model",
            ),
        )


def _matching(pattern: str, paths: Collection[str]) -> list[str]:
    return [path for path in paths if re.fullmatch(pattern, path)]
