"""What the parts of a query should count, measured where captions say what is right.

Data: Flickr8k's 1,000 `dev` photographs with five captions each, which the built-in model was not
made with: the folder `captioned` in PIXSEEK_TEST_DATA, with captions.tsv (file, split, caption).
`away`: a caption, less the word that most of its ten best mention and its own picture's captions do
not; how often its picture stays among the ten, and how many of the ten mention the word.
`either`: the captions of two pictures; how many of both are among the ten, by the mean of the
vectors, by the better score, and by the better rank. `beside`: a picture and a word that its
captions have not; right is what has the word and is among the tenth of pictures whose captions are
most like the picture's (weighted words): the share of the ten that are right, of as many as could
be.
`query`: the product's own weights (pixseek.query.vectors).
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench import report
from pixseek.encoders.calibration import text_beside_pictures
from pixseek.encoders.pocket import PocketEncoder
from pixseek.query.vectors import AWAY
from pixseek.reader import read
from pixseek.records import Vector, Vectors

SEED = 5
K = 10
COMMON = frozenset(
    """
    a an the in on of with and is are at to his her their it its by for from while as two three one
    some other up down out off over into through near next front behind another that who there man
    woman men people person boy girl
    """.split()  # noqa: SIM905  one a line would be a page
)
Scores: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Captioned:
    """n pictures with five captions each."""

    images: Vectors
    captions: Vectors
    """Of the first caption of each."""
    said: list[set[str]]
    """The words of all its captions, without common ones."""
    words: dict[str, Vector]
    """Those that at least five pictures have."""

    def best(self, scores: Scores) -> list[int]:
        """The ten best, best first."""
        return [int(i) for i in np.argsort(-scores, kind="stable")[:K]]


def main() -> None:
    options = report.options("query", __doc__ or "")
    data = _captioned(
        Path(os.environ["PIXSEEK_TEST_DATA"]) / "captioned", 200 if options.quick else None
    )
    figures = {
        "machine": report.machine(),
        "seed": SEED,
        "pictures": len(data.said),
        "model": "pocket",
        "query": {"away": AWAY, "text_beside_pictures": text_beside_pictures("pocket")},
        "away": _away(data),
        "either": _either(data),
        "beside": _beside(data),
    }
    report.write(options, __doc__ or "", figures)


def _captioned(folder: Path, most: int | None) -> Captioned:
    captions: dict[str, list[str]] = {}
    with (folder / "captions.tsv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["split"] == "dev":
                captions.setdefault(row["file"], []).append(row["caption"])
    files = sorted(captions)[:most]
    encoder = PocketEncoder()
    images = [
        encoder.encode_images(
            [read(folder / one, encoder.input_size).image for one in files[i : i + 16]]
        )
        for i in range(0, len(files), 16)
    ]
    said = [set(re.findall("[a-z]+", " ".join(captions[one]).lower())) - COMMON for one in files]
    counts = Counter(word for words in said for word in words)
    words = sorted(word for word, count in counts.items() if count >= 5)
    return Captioned(
        np.concatenate(images),
        encoder.encode_texts([captions[one][0] for one in files]),
        said,
        dict(zip(words, encoder.encode_texts(words), strict=True)),
    )


def _away(data: Captioned) -> report.Figures:
    cases: list[tuple[int, str]] = []
    for i, caption in enumerate(data.captions):
        best = data.best(data.images @ caption)
        counts = Counter(
            word for j in best for word in sorted(data.said[j] - data.said[i]) if word in data.words
        )
        if counts and counts.most_common(1)[0][1] >= 3:
            cases.append((i, counts.most_common(1)[0][0]))
    figures: report.Figures = {"queries": len(cases)}
    for weight in (0.0, 0.25, 0.5, 0.75, 1.0):
        stays: list[float] = []
        mention: list[float] = []
        for i, word in cases:
            best = data.best(data.images @ (data.captions[i] - weight * data.words[word]))
            stays.append(i in best)
            mention.append(sum(word in data.said[j] for j in best) / len(best))
        figures[str(weight)] = {"stays": _share(stays), "mention_the_word": _share(mention)}
        print(f"away {weight}: {figures[str(weight)]}")
    return figures


def _either(data: Captioned) -> report.Figures:
    random = np.random.default_rng(SEED)
    scores = data.captions @ data.images.T
    ranks = np.argsort(np.argsort(-scores, axis=1), axis=1).astype(np.float32)
    ways: dict[str, Callable[[int, int], Scores]] = {
        "mean": lambda i, j: scores[i] + scores[j],
        "better_score": lambda i, j: np.maximum(scores[i], scores[j]),
        "better_rank": lambda i, j: -np.minimum(ranks[i], ranks[j]),
    }
    one, other = random.permutation(len(data.said)), random.permutation(len(data.said))
    pairs = [(int(i), int(j)) for i, j in zip(one, other, strict=True) if i != j]
    figures: report.Figures = {"queries": len(pairs)}
    for name, way in ways.items():
        found = [len({i, j} & set(data.best(way(i, j)))) / 2 for i, j in pairs]
        figures[name] = _share(found)
        print(f"either {name}: {figures[name]}")
    return figures


def _beside(data: Captioned) -> report.Figures:
    random = np.random.default_rng(SEED)
    alike = _alike(data.said)
    counts = Counter(word for words in data.said for word in words)
    words = [word for word in data.words if 20 <= counts[word] <= 200]
    cases: list[tuple[int, str, NDArray[np.bool_]]] = []
    for _ in range(2 * len(data.said)):
        i, word = int(random.integers(len(data.said))), words[random.integers(len(words))]
        has = np.array([word in said for said in data.said])
        right = has & (alike[i] >= np.quantile(alike[i], 0.9))
        if not has[i] and right.sum() >= 3:
            cases.append((i, word, right))
    figures: report.Figures = {"queries": len(cases)}
    for weight in (0.5, 1.0, 1.5, 2.0, 3.0, 5.0):
        found: list[float] = []
        for i, word, right in cases:
            scores = data.images @ (data.images[i] + weight * data.words[word])
            scores[i] = -math.inf  # the picture itself
            found.append(float(right[data.best(scores)].sum() / min(K, right.sum())))
        figures[str(weight)] = _share(found)
        print(f"beside {weight}: {figures[str(weight)]}")
    return figures


def _alike(said: Sequence[set[str]]) -> Scores:
    """(n, n) cosines of captions as words, rare ones weighing more."""
    counts = Counter(word for words in said for word in words)
    columns = {word: i for i, word in enumerate(sorted(counts))}
    weights = np.zeros((len(said), len(columns)), np.float32)
    for row, words in enumerate(said):
        for word in words:
            weights[row, columns[word]] = math.log(len(said) / counts[word])
    weights /= np.linalg.norm(weights, axis=1, keepdims=True) + 1e-9
    alike: Scores = weights @ weights.T
    return alike


def _share(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 3)


if __name__ == "__main__":
    main()
