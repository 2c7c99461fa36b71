"""How well and how fast the shipped files work. Needs no torch: what a user's machine runs.

All figures are on the dev split: pictures and captions that no fit has seen.
"""

import io
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageEnhance
from tokenizers import Tokenizer

from .data import Captioned, read_captioned, read_pixels, squash

Figures = dict[str, Any]
DEPTHS = (1, 5, 10)
SPEED_PICTURES = 400
REPEATS = 3


class Model:
    """The shipped files, opened as the runtime opens them: sessions of one thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: Figures = json.loads((folder / "config.json").read_text("utf-8"))
        self.size: int = self.config["image_size"]
        self.image = _session(folder / "image.onnx")
        self.text = _session(folder / "text.onnx")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(self.config["max_tokens"])
        self.tokenizer.enable_padding(pad_id=self.config["pad_token_id"])

    def encode_pixels(self, pixels: np.ndarray, batch: int = 4) -> np.ndarray:
        """(n, S, S, 3) uint8 → (n, d), by two workers on one session."""

        def one(start: int) -> np.ndarray:
            rows = np.ascontiguousarray(pixels[start : start + batch])
            return np.asarray(self.image.run(None, {"pixels": rows})[0])

        with ThreadPoolExecutor(2) as pool:
            return np.concatenate(list(pool.map(one, range(0, len(pixels), batch))))

    def encode_texts(self, texts: Sequence[str], batch: int = 32) -> np.ndarray:
        """(m, d) of texts, in the order given."""
        found = []
        for start in range(0, len(texts), batch):
            rows = self.tokenizer.encode_batch(list(texts[start : start + batch]))
            ids = np.array([row.ids for row in rows], np.int64)
            mask = np.array([row.attention_mask for row in rows], np.int64)
            found.append(self.text.run(None, {"input_ids": ids, "attention_mask": mask})[0])
        return np.concatenate(found)


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _percent(ranks: np.ndarray) -> dict[str, float]:
    """Share of queries answered among the first k, in percent."""
    return {f"r{k}": round(100 * float((ranks < k).mean()), 2) for k in DEPTHS}


def caption_figures(images: np.ndarray, texts: np.ndarray, owner: np.ndarray) -> Figures:
    """Recall of the captioned picture by caption, and of any of its captions by picture."""
    scores = texts @ images.T
    right = scores[np.arange(len(texts)), owner]
    by_picture = scores.T
    best = np.full(len(images), -np.inf, np.float32)
    np.maximum.at(best, owner, right)
    return {
        "text_to_image": _percent((scores > right[:, None]).sum(1)),
        "image_to_text": _percent((by_picture > best[:, None]).sum(1)),
        "cosine_of_pairs": _spread(right),
        "cosine_of_strangers": _spread(scores[:: max(1, len(texts) // 500)].ravel()),
    }


def _spread(values: np.ndarray) -> dict[str, float]:
    points = {"p01": 1, "p25": 25, "p50": 50, "p75": 75, "p99": 99}
    return {name: round(float(np.percentile(values, p)), 4) for name, p in points.items()}


def _recoded(image: Image.Image, quality: int) -> Image.Image:
    kept = io.BytesIO()
    image.save(kept, "JPEG", quality=quality)
    return Image.open(kept).convert("RGB")


def _cropped(image: Image.Image, share: float) -> Image.Image:
    """A corner crop that keeps `share` of each side: harder than a centre crop."""
    width, height = (round(side * share) for side in image.size)
    return image.crop((image.width - width, 0, image.width, height))


def _tinted(image: Image.Image) -> Image.Image:
    warm = image.point(
        [min(255, round(i * gain)) for gain in (1.06, 1.0, 0.92) for i in range(256)]
    )
    return ImageEnhance.Brightness(warm).enhance(1.12)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "quality 40": lambda image: _recoded(image, 40),
    "colour": _tinted,
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "crop 90 %": lambda image: _cropped(image, 0.9),
    "crop 80 %": lambda image: _cropped(image, 0.8),
}


def copy_figures(model: Model, data: Captioned, images: np.ndarray) -> Figures:
    """Recall at 1 of the original by a changed copy, among all pictures of the split."""
    found: Figures = {}
    for name, change in COPIES.items():
        pixels = np.empty((len(data.files), model.size, model.size, 3), np.uint8)
        for row, path in enumerate(data.paths()):
            with Image.open(path) as image:
                pixels[row] = squash(change(image.convert("RGB")), model.size)
        scores = model.encode_pixels(pixels) @ images.T
        own = np.diagonal(scores).copy()
        np.fill_diagonal(scores, -1)
        found[name] = {
            "r1": round(100 * float((own > scores.max(1)).mean()), 2),
            "cosine_median": round(float(np.median(own)), 4),
            "nearest_other_median": round(float(np.median(scores.max(1))), 4),
        }
    return found


def alike_figures(images: np.ndarray, texts: np.ndarray, owner: np.ndarray) -> float:
    """Are the ten nearest pictures of the same thing? Mean cosine of their captions' vectors,
    above that of random pictures, in percent of what choosing by captions would reach."""
    means = np.zeros_like(images)
    np.add.at(means, owner, texts)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    truth, seen = means @ means.T, images @ images.T
    np.fill_diagonal(seen, -9)
    chosen = np.take_along_axis(truth, np.argsort(-seen, 1)[:, :10], 1).mean()
    np.fill_diagonal(truth, -9)
    ceiling = np.sort(truth, 1)[:, -10:].mean()
    chance = truth[truth > -9].mean()
    return round(100 * float((chosen - chance) / (ceiling - chance)), 1)


def kind_figures(model: Model, data: Captioned, images: np.ndarray, labels: Path) -> Figures:
    """Recall of pictures by "a photo of a {kind}". labels: lines of file, tab, kind."""
    rows = {name: row for row, name in enumerate(data.files)}
    pairs = [line.split("\t") for line in labels.read_text("utf-8").splitlines()]
    kinds = sorted({kind for _, kind in pairs})
    texts = model.encode_texts([f"a photo of a {kind}" for kind in kinds])
    scores = texts @ images.T
    ranks = []
    for name, kind in pairs:
        line = scores[kinds.index(kind)].copy()
        own = line[rows[name]]
        # Other pictures of the same kind are right too: they do not count against this one.
        for other, same in pairs:
            if same == kind:
                line[rows[other]] = -9
        ranks.append((line > own).sum())
    return {"pictures": len(pairs), "kinds": len(kinds)} | _percent(np.array(ranks))


def speed_figures(model: Model, data: Captioned) -> Figures:
    """Pictures a second, from 640×480 JPEG bytes in memory to a vector; one and two workers.

    On a machine that others use too, the rate per second of processor time says more.
    """
    jpegs: list[bytes] = []
    for path in data.paths()[:SPEED_PICTURES]:
        with Image.open(path) as image:
            kept = io.BytesIO()
            image.convert("RGB").resize((640, 480)).save(kept, "JPEG", quality=85)
            jpegs.append(kept.getvalue())
    pixels = read_pixels(data.paths()[:100], model.size)

    def decode(jpeg: bytes) -> np.ndarray:
        with Image.open(io.BytesIO(jpeg)) as image:
            image.draft("RGB", (2 * model.size, 2 * model.size))
            return squash(image, model.size)

    def whole(jpeg: bytes) -> None:
        model.image.run(None, {"pixels": decode(jpeg)[None]})

    def rate(workers: int) -> float:
        with ThreadPoolExecutor(workers) as pool:
            started = time.perf_counter()
            list(pool.map(whole, jpegs))
            return len(jpegs) / (time.perf_counter() - started)

    def encode_only(clock: Callable[[], float]) -> float:
        started = clock()
        for row in pixels:
            model.image.run(None, {"pixels": row[None]})
        return len(pixels) / (clock() - started)

    return {
        "encode_only_1_worker": round(
            median(encode_only(time.perf_counter) for _ in range(REPEATS)), 1
        ),
        "encode_only_per_processor_second": round(
            median(encode_only(time.process_time) for _ in range(REPEATS)), 1
        ),
        "decode_and_encode_1_worker": round(median(rate(1) for _ in range(REPEATS)), 1),
        "decode_and_encode_2_workers": round(median(rate(2) for _ in range(REPEATS)), 1),
    }


def text_figures(model: Model, captions: Sequence[str]) -> Figures:
    """Milliseconds to open the text part and for one query; change of a vector by batch-mates."""

    def opened_ms() -> float:
        started = time.perf_counter()
        _session(model.folder / "text.onnx")
        Tokenizer.from_file(str(model.folder / "tokenizer.json"))
        return 1000 * (time.perf_counter() - started)

    def query_ms(text: str) -> float:
        started = time.perf_counter()
        model.encode_texts([text])
        return 1000 * (time.perf_counter() - started)

    some = list(captions[:64])
    together = model.encode_texts(some, batch=64)
    alone = np.concatenate([model.encode_texts([text]) for text in some])
    return {
        "open_ms": round(median(opened_ms() for _ in range(5)), 1),
        "query_ms": round(median(query_ms(text) for text in captions[:50]), 2),
        "batch_mates_cosine_loss": float(np.max(1 - (together * alone).sum(1))),
    }


def measure(folder: Path, data_folder: Path, labels: Path | None) -> Figures:
    """Every figure of the model card, as one record."""
    model = Model(folder)
    data = read_captioned(data_folder, "dev")
    images = model.encode_pixels(read_pixels(data.paths(), model.size))
    texts = model.encode_texts(data.captions)
    files = ("image.onnx", "text.onnx", "tokenizer.json", "config.json")
    found: Figures = {
        "model": model.config["name"],
        "version": model.config["version"],
        "pictures": len(data.files),
        "captions": len(data.captions),
        "captions_recall": caption_figures(images, texts, data.owner),
        "same_kind_of_thing_percent": alike_figures(images, texts, data.owner),
        "near_copies": copy_figures(model, data, images),
        "text": text_figures(model, data.captions),
        "images_per_second": speed_figures(model, data),
        "size_bytes": {name: (folder / name).stat().st_size for name in files},
        "machine": {
            "cores": os.cpu_count(),
            "processor": platform.machine(),
            "python": platform.python_version(),
            "onnxruntime": onnxruntime.__version__,
        },
    }
    if labels is not None:
        found["kinds_recall"] = kind_figures(model, data, images, labels)
    return found
