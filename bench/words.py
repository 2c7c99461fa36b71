"""How many words are found in pictures of text, how many that are not there, and how fast.

Data: pictures painted here, seeded, with words of LICENSE in Pillow's own font.
`page`, a 12-megapixel photograph of a printed page, turned a little, unevenly lit, blurred and with
grain, JPEG; `screenshot`, 1920×1080, text of 13 to 18 pixels, PNG; `telephone`, 1080×2400, text of
32 to 44, PNG; `sign`, a sample photograph at 12 megapixels with three words on a board that stands
askew, JPEG. And `no text`: the sample photographs as they are. Found: distinct words of the picture
that are read; false: words read that were not painted, in percent of those read. Speed: from file
to text, two at a time, one run each after one that loads the models; and, as others may use the
machine, seconds of processor time a picture.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from bench import report
from bench.pictures import SAMPLES
from pixseek.metadata.wording import words_of
from pixseek.reader import read
from pixseek.words import ocr

SEED = 5
ROOT = Path(__file__).parent.parent
SCREENS = ("screenshot", "telephone")
SIZES = ((1.0, 960), (2.1, 1280), (2.1, 2000))
"""(megapixels of pictures, pixels on the longer side where lines are looked for)"""
WORKERS = 2
EACH = {"page": 4, "screenshot": 4, "telephone": 4, "sign": 30}
CONFIDENCES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)
Painted = tuple[Path, set[str]]


def main() -> None:
    options = report.options("words", __doc__ or "")
    each = {kind: 1 if options.quick else number for kind, number in EACH.items()}
    with tempfile.TemporaryDirectory(prefix="pixseek-bench-") as folder:
        kinds = _paint(Path(folder), each)
        kinds["no text"] = [(path, set()) for path in sorted(SAMPLES.glob("*.jpg"))]
        figures = {
            "machine": report.machine(),
            "seed": SEED,
            "pictures": {kind: len(pictures) for kind, pictures in kinds.items()},
            "workers": WORKERS,
            "usual": asdict(ocr.USUAL),
            "sizes": [_sized(kinds, megapixels, side) for megapixels, side in SIZES],
        }
    report.write(options, __doc__ or "", figures)


def _sized(kinds: dict[str, list[Painted]], megapixels: float, side: int) -> report.Figures:
    print(f"{megapixels} megapixels, lines looked for at {side} pixels")
    limits = replace(
        ocr.USUAL, max_pixels=round(megapixels * 1e6), detection_side=side, min_confidence=0
    )
    reader = ocr.TextReader(limits)
    reader.describe([Image.new("RGB", (99, 99), "white")])
    figures: report.Figures = {"megapixels": megapixels, "detection_side": side}
    for kind, pictures in kinds.items():
        with ThreadPoolExecutor(WORKERS) as pool:
            started, used = time.perf_counter(), time.process_time()
            found = list(pool.map(lambda one: _read(reader, one[0]), pictures))
            seconds, cpu_s = time.perf_counter() - started, time.process_time() - used
        painted = [words for _, words in pictures]
        figures[kind] = {
            "images_per_second": round(len(pictures) / seconds, 2),
            "processor_s": round(cpu_s / len(pictures), 2),
            "by_min_confidence": {str(c): _found(painted, found, c) for c in CONFIDENCES},
        }
        usual = figures[kind]["by_min_confidence"][str(ocr.USUAL.min_confidence)]
        report.line(kind, f"{usual} {figures[kind]['processor_s']} s")
    return figures


def _read(reader: ocr.TextReader, path: Path) -> list[dict[str, Any]]:
    """The lines of a picture: text, box, confidence."""
    [found] = reader.describe([read(path, reader.input_size).image])
    lines = found.get("text_lines", [])
    return [json.loads(line) for line in lines] if isinstance(lines, list) else []


def _found(
    painted: list[set[str]], read: list[list[dict[str, Any]]], least: float
) -> report.Figures:
    """Words found and false ones, of lines with at least that confidence."""
    right = wrong = 0
    for there, lines in zip(painted, read, strict=True):
        texts = [line["text"] for line in lines if line["confidence"] >= least]
        words = set(words_of("\n".join(texts)))
        right, wrong = right + len(words & there), wrong + len(words - there)
    total = sum(map(len, painted))
    return {
        "words": total,
        "found_percent": round(100 * right / total, 1) if total else None,
        "false": wrong,
        "false_percent": round(100 * wrong / max(1, right + wrong), 1),
    }


# painting


def _paint(folder: Path, each: dict[str, int]) -> dict[str, list[Painted]]:
    source = random.Random(SEED)
    noise = np.random.default_rng(SEED)
    vocabulary = sorted(set(re.findall(r"[A-Za-z]{3,}", (ROOT / "LICENSE").read_text())))
    kinds: dict[str, list[Painted]] = {}
    for kind, paint in {
        "page": _page,
        "screenshot": _screenshot,
        "telephone": _telephone,
        "sign": _sign,
    }.items():
        kinds[kind] = []
        for number in range(each[kind]):
            image, words = paint(source, noise, vocabulary, number)
            path = folder / f"{kind}-{number}.{'png' if kind in SCREENS else 'jpg'}"
            image.save(path, quality=88)
            kinds[kind].append((path, {word for text in words for word in words_of(text)}))
    return kinds


def _lines(
    draw: ImageDraw.ImageDraw,
    source: random.Random,
    vocabulary: list[str],
    box: tuple[int, int, int, int],
    size: int,
    ink: tuple[int, int, int],
) -> list[str]:
    """Fill a box with lines of words; returns the words."""
    font = ImageFont.load_default(size)
    left, y, right, bottom = box
    used: list[str] = []
    while y + 1.5 * size < bottom:
        x = float(left)
        while True:
            word = source.choice(vocabulary)
            if x + font.getlength(word) > right:
                break
            draw.text((x, y), word, fill=ink, font=font)
            used.append(word)
            x += font.getlength(word + " ")
        y += round(1.5 * size)
    return used


def _page(
    source: random.Random, noise: np.random.Generator, vocabulary: list[str], number: int
) -> tuple[Image.Image, list[str]]:
    page = Image.new("RGB", (2400, 3400), (244, 241, 232))
    size = (44, 52, 60)[number % 3]  # A4 at 290 dots an inch: 11, 13 and 15 points
    words = _lines(
        ImageDraw.Draw(page), source, vocabulary, (240, 300, 2160, 3100), size, (30, 30, 34)
    )
    table = Image.new("RGB", (3000, 4000), (96, 72, 52))
    mask = Image.new("L", page.size, 255)
    angle = source.uniform(-3, 3)
    turned, mask = (
        one.rotate(angle, Image.Resampling.BICUBIC, expand=True) for one in (page, mask)
    )
    table.paste(turned, (250, 220), mask)
    return _photographed(table, source, noise, blur=1.2), words


def _screenshot(
    source: random.Random, _: np.random.Generator, vocabulary: list[str], number: int
) -> tuple[Image.Image, list[str]]:
    return _screen((1920, 1080), source, vocabulary, dark=bool(number % 2), sizes=(13, 15, 18))


def _telephone(
    source: random.Random, _: np.random.Generator, vocabulary: list[str], number: int
) -> tuple[Image.Image, list[str]]:
    return _screen((1080, 2400), source, vocabulary, dark=bool(number % 2), sizes=(32, 38, 44))


def _screen(
    size: tuple[int, int],
    source: random.Random,
    vocabulary: list[str],
    *,
    dark: bool,
    sizes: tuple[int, int, int],
) -> tuple[Image.Image, list[str]]:
    """A bar, and two columns of text."""
    ground, ink = ((32, 33, 36), (226, 228, 232)) if dark else ((255, 255, 255), (32, 33, 36))
    screen = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(screen)
    draw.rectangle((0, 0, size[0], size[1] // 20), fill=(60, 90, 160))
    used = []
    for left, right, text in ((0.03, 0.3, sizes[1]), (0.36, 0.95, sizes[0])):
        box = (
            round(left * size[0]),
            round(0.1 * size[1]),
            round(right * size[0]),
            round(0.6 * size[1]),
        )
        used += _lines(draw, source, vocabulary, box, text, ink)
    bar = (round(0.03 * size[0]), size[1] // 90, round(0.6 * size[0]), size[1] // 20)
    used += _lines(draw, source, vocabulary, bar, sizes[2], (255, 255, 255))
    return screen, used


def _sign(
    source: random.Random, noise: np.random.Generator, vocabulary: list[str], number: int
) -> tuple[Image.Image, list[str]]:
    with Image.open(sorted(SAMPLES.glob("*.jpg"))[number % 30]) as opened:
        scene = opened.convert("RGB").resize((4000, 3000), Image.Resampling.LANCZOS)
    words = source.sample([word for word in vocabulary if len(word) < 10], 3)
    height = source.choice((60, 100, 180))
    font = ImageFont.load_default(height)
    width = round(max(font.getlength(word) for word in words)) + height
    board = Image.new("RGB", (width, 4 * height + height), (20, 70, 40))
    draw = ImageDraw.Draw(board)
    for row, word in enumerate(words):
        draw.text((height / 2, (0.4 + 1.4 * row) * height), word, fill="white", font=font)
    mask = Image.new("L", board.size, 255)
    w, h = board.size
    lean = source.uniform(-0.12, 0.12)  # seen from a side
    quad = (0, -lean * h, 0, h + lean * h, w, h, w, 0)
    board, mask = (
        one.transform((w, h), Image.Transform.QUAD, quad, Image.Resampling.BICUBIC)
        for one in (board, mask)
    )
    angle = source.uniform(-8, 8)
    board, mask = (
        one.rotate(angle, Image.Resampling.BICUBIC, expand=True) for one in (board, mask)
    )
    scene.paste(board, (source.randrange(0, 4000 - board.width), source.randrange(100, 1800)), mask)
    return _photographed(scene, source, noise, blur=1.5), words


def _photographed(
    image: Image.Image, source: random.Random, noise: np.random.Generator, *, blur: float
) -> Image.Image:
    """Light from a side, the lens' blur, the sensor's grain."""
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(blur)), np.float32)
    light = np.linspace(source.uniform(0.6, 0.8), 1.05, soft.shape[1], dtype=np.float32)
    grain = noise.standard_normal(soft.shape[:2], np.float32)[..., np.newaxis] * 6
    lit = soft * light[np.newaxis, :, np.newaxis] + grain
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))


if __name__ == "__main__":
    main()
