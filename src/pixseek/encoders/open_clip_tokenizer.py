"""open_clip's tokenizers → files of the `tokenizers` library that give the same ids."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as InOrder
from tokenizers.processors import TemplateProcessing


def tokenizer_of(read: Any) -> dict[str, bytes]:
    """tokenizer.json and tokenizer_config.json of what `open_clip.get_tokenizer` gives."""
    if hasattr(read, "bpe_ranks"):
        names = {
            "tokenizer_class": "SimpleTokenizer",
            "model_max_length": read.context_length,
            "pad_token": "!",
            "padding_side": "right",
        }
        return {
            "tokenizer.json": _simple(read).to_str().encode(),
            "tokenizer_config.json": json.dumps(names, indent=2).encode() + b"\n",
        }
    with TemporaryDirectory() as place:
        read.tokenizer.save_pretrained(place)
        names_ = ("tokenizer.json", "tokenizer_config.json")
        return {name: (Path(place) / name).read_bytes() for name in names_}


def _simple(read: Any) -> Tokenizer:
    """Source: open_clip tokenizer.py, SimpleTokenizer; cleaning and lower case come before."""
    merges = sorted(read.bpe_ranks, key=read.bpe_ranks.__getitem__)
    start, end = (read.decoder[id] for id in (read.sot_token_id, read.eot_token_id))
    tokenizer = Tokenizer(BPE(vocab=read.encoder, merges=merges, end_of_word_suffix="</w>"))
    words = Regex(f"(?i){read.pat.pattern}")
    tokenizer.pre_tokenizer = InOrder(
        [
            Split(words, behavior="removed", invert=True),
            ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.add_special_tokens([read.decoder[id] for id in read.all_special_ids])
    tokenizer.post_processor = TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, read.sot_token_id), (end, read.eot_token_id)],
    )
    return tokenizer
