"""Draws docs/images/results.jpg: what pixseek really answers on the sample photos.

python tools/results_picture.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from pixseek import Hit, ImageSearchEngine

ROOT = Path(__file__).parent.parent
QUERIES = ("sunset over a city", "an animal in the snow", "a cup of coffee", "flowers")
LIKE = ROOT / "samples" / "photo-07.jpg"
HITS = 4
TILE = (220, 150)
MARGIN, LABEL = 12, 34


def main() -> None:
    """Index the samples into a temporary library, search, draw a row a query."""
    with tempfile.TemporaryDirectory() as folder, ImageSearchEngine(folder) as engine:
        engine.index_images(ROOT / "samples")
        rows = [(f'"{query}"', engine.search_by_text(query, k=HITS)) for query in QUERIES]
        rows.append((f"--like {LIKE.name}", engine.search_by_image(LIKE, k=HITS)))
    target = ROOT / "docs" / "images" / "results.jpg"
    target.parent.mkdir(parents=True, exist_ok=True)
    _draw(rows).save(target, quality=80, optimize=True)


def _draw(rows: list[tuple[str, list[Hit]]]) -> Image.Image:
    width = MARGIN + HITS * (TILE[0] + MARGIN)
    height = len(rows) * (LABEL + TILE[1] + MARGIN) + MARGIN
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (label, hits) in enumerate(rows):
        top = MARGIN // 2 + i * (LABEL + TILE[1] + MARGIN)
        pen.text((MARGIN, top + 8), label, "#222222", ImageFont.load_default(18))
        for j, hit in enumerate(hits):
            left = MARGIN + j * (TILE[0] + MARGIN)
            with Image.open(hit.path) as photo:
                sheet.paste(ImageOps.fit(photo.convert("RGB"), TILE), (left, top + LABEL))
            score = f"{hit.score:.2f}"
            corner = (left, top + LABEL + TILE[1] - 22, left + 44, top + LABEL + TILE[1])
            pen.rectangle(corner, "#000000")
            pen.text((left + 6, corner[1] + 3), score, "#ffffff", ImageFont.load_default(14))
    return sheet


if __name__ == "__main__":
    main()
