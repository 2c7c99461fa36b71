"""Small vocabularies with the structure of the real ones: normaliser, splitting, special tokens.

No package ships the vocabularies of T5, Gemma and XLM-RoBERTa; these are trained on a little text,
the same every time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
SIZE = 800

LINES = (
    "a photo of a cat",
    "two dogs on a beach at sunset",
    "Über den Wolken, zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich",
    "Voix ambiguë d'un cœur qui au zéphyr préfère les jattes de kiwis",
    "El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia y frío",
    "Съешь же ещё этих мягких французских булок, да выпей чаю; кошка на дереве",
    "一只猫在树上 天地玄黄 宇宙洪荒 日月盈昃 辰宿列张",
    "いろはにほへと ちりぬるを わかよたれそ つねならむ",
    "قطة على الشجرة نص حكيم له سر قاطع وذو شأن عظيم",
    "türkçe güzel bir gün, pijamalı hasta yağız şoföre çabucak güvendi",
)


def lines() -> list[str]:
    """A little English, and some of other scripts."""
    return [line for line in (ROOT / "LICENSE").read_text().splitlines() if line] + 20 * [*LINES]


def sentencepiece(folder: Path, special: dict[str, int]) -> Path:
    """A unigram model in spiece.model; special: pad_id, eos_id, unk_id, bos_id (-1: none)."""
    import sentencepiece as spm

    folder.mkdir(parents=True, exist_ok=True)
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(lines()),
        model_prefix=str(folder / "spiece"),
        vocab_size=SIZE,
        hard_vocab_limit=False,
        num_threads=1,
        character_coverage=1.0,
        minloglevel=2,
        **special,
    )
    return folder / "spiece.model"


def _pieces(model: Path) -> tuple[list[tuple[str, float]], bytes]:
    """Pieces with scores, and the table of its normaliser."""
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.read_bytes())
    charsmap = proto.normalizer_spec.precompiled_charsmap
    return [(one.piece, one.score) for one in proto.pieces], charsmap


def t5(folder: Path) -> None:
    """As SigLIP's in open_clip: T5's tokenizer, filled up with </s>."""
    from transformers import T5Tokenizer

    model = sentencepiece(folder, {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1})
    pieces, charsmap = _pieces(model)
    T5Tokenizer(
        vocab=pieces, _spm_precompiled_charsmap=charsmap, extra_ids=0, pad_token="</s>"
    ).save_pretrained(folder)


def siglip(folder: Path) -> None:
    """As SigLIP's in transformers: the SentencePiece model itself."""
    from transformers import SiglipTokenizer

    model = sentencepiece(folder, {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1})
    SiglipTokenizer(str(model)).save_pretrained(folder)


def xlm_roberta(folder: Path) -> None:
    """As XLM-RoBERTa's."""
    from transformers import XLMRobertaTokenizer

    model = sentencepiece(folder, {"pad_id": -1, "eos_id": 2, "unk_id": 0, "bos_id": 1})
    pieces, charsmap = _pieces(model)
    first = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocab = [*first, *pieces[3:], ("<mask>", 0.0)]
    XLMRobertaTokenizer(vocab=vocab, _spm_precompiled_charsmap=charsmap).save_pretrained(folder)


def gemma(folder: Path) -> None:
    """As SigLIP 2's: Gemma's tokenizer, bytes for what it does not know, an end token."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import GemmaTokenizer

    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    learner = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    learner.normalizer = normalizers.Replace(" ", "▁")
    learner.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    seen = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=[*special, *(f"<0x{byte:02X}>" for byte in range(256))],
        show_progress=False,
        max_token_length=12,
    )
    learner.train_from_iterator([word for line in lines() for word in line.split()], seen)
    learnt = _json(learner)["model"]
    made = GemmaTokenizer(
        vocab=learnt["vocab"],
        merges=[tuple(merge) for merge in learnt["merges"]],
        padding_side="right",
    )
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 1)]
    )
    made.save_pretrained(folder)


def clip(folder: Path) -> None:
    """CLIP's own, from the list that open_clip ships, as transformers has it."""
    from open_clip import SimpleTokenizer
    from transformers import CLIPTokenizer

    read = SimpleTokenizer()
    names = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocab = {names.get(token, token): id for token, id in read.encoder.items()}
    merges = sorted(read.bpe_ranks, key=read.bpe_ranks.__getitem__)
    CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77).save_pretrained(folder)


def _json(tokenizer: Any) -> Any:
    import json

    return json.loads(tokenizer.to_str())
