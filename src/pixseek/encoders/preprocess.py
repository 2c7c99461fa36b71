"""Pictures and texts → what a model reads: pixels and token ids, as its reference makes them.

References: open_clip's `transform.py` and `tokenizer.py` with torchvision on Pillow images, and the
image processors and tokenizers of transformers. docs/models.md says how near this is to them.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pixseek.encoders.catalog import Cleaning, ImagePreparation, TextPreparation

if TYPE_CHECKING:
    from PIL import Image
    from tokenizers import Tokenizer

LONG = 16
"""A picture that would be longer than this many squares is cut before it is resized, which rounds a
few pixels otherwise (of photos one in 7,000, by 1/255) and takes 7 ms in place of 10; what is cut
off a line of 1 × 9,000 pixels would fill a gigabyte."""
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def pixels(images: Sequence[Image.Image], how: ImagePreparation) -> NDArray[np.float32]:
    """images: upright RGB, any size. Returns (n, 3, size, size); no images gives (0, ...)."""
    table = _table(how)
    made = np.empty((len(images), 3, how.size, how.size), np.float32)
    for row, image in zip(made, images, strict=True):
        square = np.asarray(_square(image, how))
        for channel in range(3):
            # A lookup gives the reference's float32 to the last bit, and is no slower.
            np.take(table[channel], square[:, :, channel], out=row[channel], mode="clip")
    return made


def _table(how: ImagePreparation) -> NDArray[np.float32]:
    """(3, 256): what each value of each channel becomes."""
    values = np.arange(256, dtype=np.float32) / np.float32(255)
    mean, std = (np.array(one, np.float32)[:, None] for one in (how.mean, how.std))
    table: NDArray[np.float32] = (values - mean) / std
    return table


def _square(image: Image.Image, how: ImagePreparation) -> Image.Image:
    """Resized and cut to (size, size)."""
    from PIL.Image import Resampling  # a text search does without

    resample, square = Resampling[how.interpolation.upper()], (how.size, how.size)
    if how.resize == "squash":
        return image.resize(square, resample)
    shortest, short = how.shortest or how.size, min(image.size)
    # The long side is cut off to whole pixels, so it is scaled a little differently.
    width, height = (
        shortest if side == short else int(shortest * side / short) for side in image.size
    )
    margins = (width - how.size) / 2, (height - how.size) / 2
    left, top = (int(margin) if how.half == "down" else round(margin) for margin in margins)
    right, bottom = left + how.size, top + how.size
    if max(width, height) <= LONG * how.size:
        return image.resize((width, height), resample).crop((left, top, right, bottom))
    across, down = image.width / width, image.height / height
    last = min(right * across, image.width), min(bottom * down, image.height)
    box = (left * across, top * down, *last)
    return image.resize(square, resample, box=box)


class Tokens(NamedTuple):
    """Texts as a model reads them, (n, length) each."""

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]
    """1 where the model should look."""


class Texts:
    """Texts → token ids. Safe to use from threads."""

    def __init__(
        self, tokenizer: Tokenizer, how: TextPreparation, *, pad_token: str | None = None
    ) -> None:
        """pad_token: what fills up where `how.pad_id` is None; None takes the tokenizer's own."""
        self._tokenizer = tokenizer
        self._how = how
        self._pad_id = how.pad_id
        if self._pad_id is None and pad_token is not None:
            self._pad_id = tokenizer.token_to_id(pad_token)
        if self._pad_id is None:
            self._pad_id = int((tokenizer.padding or {}).get("pad_id", 0))
        tokenizer.no_padding()
        # What ends a text (an end token, if the model has one) is kept when it is cut off.
        tokenizer.enable_truncation(how.context_length)

    def tokens(self, texts: Sequence[str], length: int | None = None) -> Tokens:
        """length: what the model must be given, None for as many as the longest text has."""
        how = self._how
        encodings = self._tokenizer.encode_batch([clean(text, how.clean) for text in texts])
        if how.padded:
            length = length or how.context_length
        length = length or max((len(one.ids) for one in encodings), default=0)
        ids = np.full((len(texts), length), self._pad_id, np.int64)
        mask = np.full(ids.shape, how.padded, np.int64)
        for i, encoding in enumerate(encodings):
            ids[i, : len(encoding.ids)] = encoding.ids
            mask[i, : len(encoding.ids)] = 1
        return Tokens(ids, mask)


def read_tokenizer(file: Path) -> Tokenizer:
    """Raises ValueError when the file is not a tokenizer."""
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the only class tokenizers raises
        raise ValueError(f"{file.name} does not load ({error})") from error


def clean(text: str, how: Cleaning) -> str:
    """The text as the model's tokenizer expects it; any text, lone surrogates too."""
    # Tokenizers refuse lone surrogates, which undecodable arguments of a program become.
    text = text.encode("utf-8", "replace").decode()
    if how == "none":
        return text
    if how == "siglip":
        return " ".join(text.lower().translate(_NO_PUNCTUATION).split())
    text = _repaired(text)
    if how == "canonicalize":
        text = text.replace("_", " ").translate(_NO_PUNCTUATION)
    text = " ".join(text.split())
    return text if how == "whitespace" else text.lower()


def _repaired(text: str) -> str:
    """What open_clip does to every text first: repair wrong decoding, resolve HTML entities."""
    if text.isascii() and text.isprintable() and "&" not in text:
        # Nothing in it that either could change, and ftfy takes a while to import.
        return text
    from html import unescape

    import ftfy

    return unescape(unescape(ftfy.fix_text(text)))
