"""`pocket`: the text-image model that ships in the package and needs no network.

What it is made of, how well it does and what it is weak at: models/pocket/MODEL_CARD.md; the code
that made it: tools/pocket.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pixseek.errors import ModelUnavailable
from pixseek.records import Space, Vectors

if TYPE_CHECKING:
    from PIL import Image
    from tokenizers import Tokenizer

    from pixseek.encoders import Options
    from pixseek.encoders.catalog import Model

FOLDER = Path(__file__).parent.parent / "models" / "pocket"


def load(model: Model, options: Options) -> PocketEncoder:  # noqa: ARG001  as every runtime's
    return PocketEncoder()


class PocketEncoder:
    """Runs on ONNX Runtime; each half is loaded when first used.

    One thread a call: several threads that each decode and encode reach more pictures a second
    than one call over all cores (docs/decisions/003-indexing-workers.md).
    """

    runs_on = "ONNX Runtime on the processor"

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._loading = threading.Lock()
        self._loaded_image: onnxruntime.InferenceSession | None = None
        self._loaded_text: tuple[Tokenizer, onnxruntime.InferenceSession] | None = None
        try:
            config = json.loads((folder / "config.json").read_bytes())
            checksums = (folder / "SHA256SUMS").read_text("utf-8")
            self.space = Space("pocket", _fingerprint(checksums), int(config["dimensions"]))
            self.input_size = int(config["image_size"])
            self._max_tokens = int(config["max_tokens"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelUnavailable(
                "pocket", f"its files are not all there or not whole ({error})"
            ) from error

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """The whole frame, squashed to a square; see Encoder.encode_images."""
        from PIL import Image

        if not images:
            return np.empty((0, self.space.dimensions), np.float32)
        side = (self.input_size, self.input_size)
        pixels = np.stack(
            [np.asarray(image.resize(side, Image.Resampling.BICUBIC)) for image in images]
        )
        return _run(self._image_session, {"pixels": pixels})

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """See Encoder.encode_texts; what is past `max_tokens` word pieces is cut off."""
        if not texts:
            return np.empty((0, self.space.dimensions), np.float32)
        # Tokenizers refuse lone surrogates, which undecodable arguments of a program become.
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        tokenizer, session = self._text
        encodings = tokenizer.encode_batch(clean)
        ids = np.array([encoding.ids for encoding in encodings], np.int64)
        mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
        return _run(session, {"input_ids": ids, "attention_mask": mask})

    @property
    def _image_session(self) -> onnxruntime.InferenceSession:
        with self._loading:
            if self._loaded_image is None:
                full = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
                self._loaded_image = self._session("image.onnx", full)
            return self._loaded_image

    @property
    def _text(self) -> tuple[Tokenizer, onnxruntime.InferenceSession]:
        with self._loading:
            if self._loaded_text is None:
                # A command waits for this. Basic optimization opens a tenth faster than the full
                # one and answers as fast; none opens in half the time, but each text then takes
                # six times as long (measured: 55 + 4, 51 + 3, 22 + 31 ms).
                basic = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
                self._loaded_text = self._tokenizer(), self._session("text.onnx", basic)
            return self._loaded_text

    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        except Exception as error:  # the only class tokenizers raises
            raise ModelUnavailable("pocket", f"tokenizer.json does not load ({error})") from error
        tokenizer.enable_truncation(self._max_tokens)
        tokenizer.enable_padding()
        return tokenizer

    def _session(
        self, name: str, level: onnxruntime.GraphOptimizationLevel
    ) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.graph_optimization_level = level
        try:
            return onnxruntime.InferenceSession(
                str(self._folder / name), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors share no public base class
            raise ModelUnavailable("pocket", f"{name} does not load ({error})") from error


def scores(folder: Path = FOLDER) -> tuple[dict[str, float], dict[str, float]]:
    """Percentiles (p01 to p99) of the scores of texts with their pictures, and with strangers.

    Measured on pictures that were left out of a fit. Raises ModelUnavailable.
    """
    try:
        found = json.loads((folder / "config.json").read_bytes())["image_text_cosine"]
        return found["pairs"], found["strangers"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelUnavailable("pocket", f"its config.json is not whole ({error})") from error


def _run(session: onnxruntime.InferenceSession, inputs: dict[str, NDArray[np.generic]]) -> Vectors:
    vectors: Vectors = session.run(["embedding"], inputs)[0]
    return vectors


def _fingerprint(checksums: str) -> str:
    """One hash of the weights and what prepares their input, from the published checksums."""
    from hashlib import sha256

    lines = [line for line in checksums.splitlines() if not line.endswith(".md")]
    return sha256("\n".join(sorted(lines)).encode()).hexdigest()
