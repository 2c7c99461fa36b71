"""What words beside pictures are worth, and sentences around short queries.

Data: bench/captioned.py, `dev`, 1,000 pictures, model `pocket`. `words`: half of the pictures,
chosen at random, have one of their captions as metadata; another caption of each of the 1,000 is a
query, and its picture is to be found. Share of those found among the first 1, 5 and 10, in percent,
of all pictures, of those with words and those without: by what pictures show, by words (BM25), by
reciprocal rank fusion (Cormack et al. 2009) with constant 10, 30 and 60, and by a score plus what
the words add: the share of the query that they cover, or its square, times a weight, in standard
deviations. `sentences`: built-in labels that 2 of 5 captions mention of 3 pictures at least; share
of right ones among the first 1, 5 and 10, and mean average precision, for several sets of
sentences whose vectors are averaged. `alike`: share of changed copies (half size, JPEG quality 40,
mirrored, middle 90 % of both sides) whose cosine with the original is above a bound, and of
pictures whose nearest other one is.
"""

from __future__ import annotations

from collections import Counter
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from bench import captioned, report
from bench.captioned import Captioned
from pixseek.encoders import Encoder, Options, load_encoder
from pixseek.metadata.wording import with_words, words_asked
from pixseek.ranking.answering import WORDS
from pixseek.ranking.diversity import BURST, COPY
from pixseek.ranking.fulltext import MOST_WORDS, covered, rarity
from pixseek.ranking.sentences import PUBLISHED
from pixseek.records import Metadata

SEED = 3
COPIES = 200
SENTENCES = {
    "the query alone": ("{}",),
    "a photo of a": ("a photo of a {}",),
    "the query, a photo of a": ("{}", "a photo of a {}"),
    "the query, there is a": ("{}", "there is a {}"),
    "the query and CLIP's seven": PUBLISHED,
}
Floats = NDArray[np.float64]


def main() -> None:
    options = report.options("ranking", __doc__ or "")
    encoder = load_encoder("pocket", Options())
    data = captioned.read(options.data, "dev", 1000, encoder)
    figures: report.Figures = {
        "machine": report.machine(),
        "seed": SEED,
        "words": _words(data),
        "sentences": with_sentences(data, encoder),
        "alike": _alike(data, encoder, 20 if options.quick else COPIES),
    }
    report.write(options, __doc__ or "", figures)


# words beside what pictures show


def _words(data: Captioned) -> report.Figures:
    n = len(data.files)
    having = np.zeros(n, np.bool_)
    having[np.random.default_rng(SEED).permutation(n)[: n // 2]] = True
    of: list[list[int]] = [[] for _ in range(n)]
    for caption, picture in enumerate(data.owner.tolist()):
        of[picture].append(caption)
    queries = [captions[0] for captions in of]
    metadata: list[Metadata] = [
        with_words({"caption": data.captions[captions[-1]]}) if has else {}
        for captions, has in zip(of, having.tolist(), strict=True)
    ]
    shares = _shares([data.captions[query] for query in queries], metadata)
    shown = (data.texts[queries] @ data.images.T).astype(np.float64)
    shown /= shown.std()
    ways = {"shown": shown, "words": shares + 1e-6 * shown}
    for constant in (10, 30, 60):
        by_words = np.where(shares > 0, 1 / (constant + _ranks(ways["words"])), 0)
        ways[f"reciprocal rank fusion, {constant}"] = 1 / (constant + _ranks(shown)) + by_words
    for times in (1, 2, 3, 4, 6):
        ways[f"plus {times} times the share"] = shown + times * shares
    for weight in (2.0, 4.0, WORDS, 12.0):
        ways[f"plus {weight:g} times its square"] = shown + weight * shares**2
    figures: report.Figures = {}
    for name, values in ways.items():
        ranks = _ranks(values)[np.arange(n), np.arange(n)]
        figures[name] = {
            group: [round(100 * float((ranks[mask] <= k).mean()), 1) for k in (1, 5, 10)]
            for group, mask in (
                ("all", np.ones(n, np.bool_)),
                ("with words", having),
                ("without", ~having),
            )
        }
        report.line(name, figures[name])
    return figures


def _shares(queries: list[str], metadata: list[Metadata]) -> Floats:
    """(queries, pictures): as ranking/fulltext.py has them."""
    words = [set(one.get("words", [])) for one in metadata]  # type: ignore[arg-type]  # a list
    counts = Counter(word for one in words for word in one)
    found = np.zeros((len(queries), len(metadata)))
    for row, query in zip(found, queries, strict=True):
        known = {word: counts[word] for word in words_asked(query)[:MOST_WORDS]}
        weights = rarity(known, len(metadata))
        least = max((weights[word] for word, n in known.items() if n), default=0) / 2
        telling = {word for word, n in known.items() if n and weights[word] >= least}
        for column, one in enumerate(words):
            if telling & one:
                row[column] = covered(metadata[column], weights)
    return found


def _ranks(values: Floats) -> NDArray[np.int64]:
    """1 for the best of each row."""
    ranks: NDArray[np.int64] = (-values).argsort(axis=1, kind="stable").argsort(axis=1) + 1
    return ranks


# sentences


def with_sentences(data: Captioned, encoder: Encoder) -> report.Figures:
    """What several sets of sentences around short queries find."""
    names = captioned.labels()
    right = data.said(names) >= 2
    enough = right.sum(axis=1) >= 3
    right, names = right[enough], [one for one, is_so in zip(names, enough, strict=True) if is_so]
    figures: report.Figures = {"queries": len(names)}
    for name, templates in SENTENCES.items():
        total = sum(
            (encoder.encode_texts([one.format(label) for label in names]) for one in templates),
            start=np.zeros((len(names), encoder.space.dimensions), np.float32),
        )
        total /= np.linalg.norm(total, axis=1, keepdims=True)
        order = np.argsort(-(total @ data.images.T), axis=1, kind="stable")
        hits = np.take_along_axis(right, order, axis=1)
        precision = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
        average = [float(row[hit].mean()) for row, hit in zip(precision, hits, strict=True)]
        figures[name] = {
            "right_of_the_first_1_5_10": [round(float(hits[:, :k].mean()), 3) for k in (1, 5, 10)],
            "mean_average_precision": round(float(np.mean(average)), 3),
        }
        report.line(name, figures[name])
    return figures


# alike pictures


def _alike(data: Captioned, encoder: Encoder, copies: int) -> report.Figures:
    likeness = data.images @ data.images.T
    np.fill_diagonal(likeness, -1)
    nearest = likeness.max(axis=1)
    found: dict[str, list[float]] = {}
    for file, vector in zip(data.files[:copies], data.images[:copies], strict=False):
        with Image.open(data.folder / file) as opened:
            changed = _changed(opened.convert("RGB"))
        scores = encoder.encode_images(list(changed.values())) @ vector
        for name, score in zip(changed, scores.tolist(), strict=True):
            found.setdefault(name, []).append(score)
    figures: report.Figures = {}
    for bound in (BURST, 0.85, 0.9, COPY, 0.95):
        figures[f"above {bound}"] = {
            **{name: round(float(np.mean(np.array(s) >= bound)), 3) for name, s in found.items()},
            "nearest other": round(float((nearest >= bound).mean()), 3),
        }
        report.line(f"alike above {bound}", figures[f"above {bound}"])
    return figures


def _changed(image: Image.Image) -> dict[str, Image.Image]:
    w, h = image.size
    file = BytesIO()
    image.save(file, "JPEG", quality=40)
    return {
        "half size": image.resize((w // 2, h // 2)),
        "quality 40": Image.open(file).convert("RGB"),
        "mirrored": ImageOps.mirror(image),
        "crop 90 %": image.crop((w // 20, h // 20, w - w // 20, h - h // 20)),
    }


if __name__ == "__main__":
    main()
