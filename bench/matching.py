"""Whether a match tells queries that a library can answer from others, and what the score tells.

Data: bench/captioned.py; `train` for fitting, `dev` for the figures. Queries: the built-in labels.
A hit is right when 2 of its picture's 5 captions mention the label, wrong when none does, and does
not count else. `present`: the label is in the library; `removed`: pictures of which any caption
mentions it were taken out; `never`: no picture's captions mention it. Told apart: queries present
from queries absent, by their best hit of ten: area under the ROC curve, and the share of absent
queries that pass where 95 % of those present do (present: 2 pictures at least). Likewise for
pictures as queries: another shows the same when two labels are each mentioned by 2 of 5 captions of
both.
With --quick nothing is fitted. The fit prints what stands in FITTED of ranking/matching.py.
With --model another model is measured, with the fit that it has there, or else that of `pocket`;
and what sentences around short queries do for it, as bench/ranking.py does for `pocket`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench import captioned, report
from bench.captioned import Captioned
from bench.ranking import with_sentences
from pixseek.encoders import Options, load_encoder
from pixseek.encoders.calibration import calibration
from pixseek.ranking import Kind, Part, matching
from pixseek.ranking.sentences import text_vector
from pixseek.ranking.statistics import PICTURES, Statistics, neutral_vectors
from pixseek.records import Vectors

SEED = 11
SIZES = (300, 1000, 3000)
HITS = 10
QUERIES = 300
"""Pictures that are queries."""
USED: dict[Kind, tuple[int, ...]] = {"text": (0, 1, 2, 3), "image": (0,)}
"""Features that are fitted. What the others say of pictures is how common in this set of pictures
it is that two show the same, which is not so elsewhere."""
ITSELF = 0.999
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Case:
    """One query in one library, and its first hits."""

    kind: str
    """present, removed, never."""
    part: Part
    vectors: Vectors
    """(k, d) of the hits, nearest first."""
    right: NDArray[np.float64]
    """(k,) 1 right, 0 wrong, NaN neither."""
    usual: Statistics
    model: str

    @property
    def scores(self) -> Floats:
        return (self.vectors @ self.part.vector).astype(np.float64)


def main() -> None:
    options = report.options("matching", __doc__ or "")
    encoder = load_encoder(options.model, Options())
    model = encoder.space.model
    neutral, names = neutral_vectors(encoder), captioned.labels()
    vectors = np.stack([text_vector(encoder, name) for name in names])
    dev = captioned.read(options.data, "dev", 1000, encoder)
    figures: report.Figures = {"machine": report.machine(), "model": model, "seed": SEED}
    kinds: tuple[Kind, ...] = ("text", "image")
    for kind in kinds:
        if not options.quick:
            train = captioned.read(options.data, "train", 3000, encoder)
            cases = [
                case
                for size in SIZES
                for case in _cases(train, kind, size, names, vectors, neutral, model)
            ]
            weights = _fitted(cases, USED[kind])
            print(f"fitted {kind}: {tuple(weights.round(3).tolist())}")
        cases = list(_cases(dev, kind, 1000, names, vectors, neutral, model))
        figures[kind] = _figures(cases)
        for name, values in figures[kind].items():
            report.line(f"{kind}: {name}", values)
    if options.model != report.BUILT_IN:
        figures["sentences"] = with_sentences(dev, encoder)
    report.write(options, __doc__ or "", figures)


# queries in libraries


def _cases(
    data: Captioned,
    kind: Kind,
    size: int,
    names: list[str],
    vectors: Vectors,
    neutral: Vectors,
    model: str,
) -> Iterator[Case]:
    random = np.random.default_rng((SEED, size))
    rows = np.sort(random.permutation(len(data.files))[:size])
    said, images = data.said(names)[:, rows], data.images[rows]
    if kind == "text":
        queries, right, touched = vectors, said >= 2, said >= 1
    else:
        chosen = np.sort(random.permutation(len(rows))[:QUERIES])
        queries = images[chosen]
        often, ever = (said >= 2).astype(int), (said >= 1).astype(int)
        right = often[:, chosen].T @ often >= 2
        touched = ever[:, chosen].T @ ever >= 2
        itself = np.arange(len(chosen)), chosen
        right[itself] = touched[itself] = False
    whole = _statistics(images, neutral, random)
    for query, hits, near in zip(queries, right, touched, strict=True):
        part = Part(kind, query)
        if not near.any() and kind == "text":
            yield _case("never", part, images, hits, near, whole, model)
        if hits.sum() >= 2:
            yield _case("present", part, images, hits, near, whole, model)
            rest = _statistics(images[~near], neutral, random)
            yield _case("removed", part, images[~near], hits[~near], near[~near], rest, model)


def _statistics(images: Vectors, neutral: Vectors, random: np.random.Generator) -> Statistics:
    sample = images[random.permutation(len(images))[:PICTURES]]
    return Statistics(len(images), sample, neutral)


def _case(
    kind: str,
    part: Part,
    images: Vectors,
    right: NDArray[np.bool_],
    near: NDArray[np.bool_],
    usual: Statistics,
    model: str,
) -> Case:
    best = np.argsort(-(images @ part.vector), kind="stable")[:HITS]
    known = np.where(right[best], 1.0, np.where(near[best], np.nan, 0.0))
    known[images[best] @ part.vector > ITSELF] = 1
    return Case(kind, part, images[best], known, usual, model)


# fitting


def _fitted(cases: list[Case], used: tuple[int, ...]) -> Floats:
    """Weights of the features of best hits and a constant, by which queries present are told from
    those absent with least cross-entropy, both counting the same. Features that are not used have
    the weight 0."""
    found, present = [], []
    for case in cases:
        features = matching.features(case.part, case.vectors, case.usual)
        assert features is not None
        others = case.scores < ITSELF
        found.append(features[others][0])
        present.append(case.kind == "present")
        if not others.all():  # once more, with the query itself as its best hit
            found.append(features[0])
            present.append(True)
    y = np.array(present, np.float64)
    weight = np.where(y == 1, 0.5 / y.sum(), 0.5 / (1 - y).sum())
    x = np.c_[np.array(found)[:, used], np.ones(len(y))]
    beta = np.zeros(x.shape[1])
    for _ in range(30):  # Newton
        p = 1 / (1 + np.exp(-x @ beta))
        slope = x.T @ (weight * (p - y))
        curve = (x.T * (weight * p * (1 - p))) @ x
        beta -= np.linalg.solve(curve + 1e-4 * np.eye(len(beta)), slope + 1e-4 * beta)
    weights = np.zeros(5)
    weights[[*used, -1]] = beta
    return weights


# figures


def _figures(cases: list[Case]) -> report.Figures:
    best = {
        "score": [_of_others(case, case.scores) for case in cases],
        "family's relevance": [
            calibration(case.model).relevance(_of_others(case, case.scores)) for case in cases
        ],
        "score in deviations of the query's": [
            _of_others(case, _deviations(case)) for case in cases
        ],
        "match": [_of_others(case, _matches(case)) for case in cases],
    }
    kinds = np.array([case.kind for case in cases])
    figures: report.Figures = {
        "queries": {kind: int((kinds == kind).sum()) for kind in ("present", "removed", "never")}
    }
    for name, values in best.items():
        of = {kind: np.array(values)[kinds == kind] for kind in ("present", "removed", "never")}
        figures[name] = {
            absent: {
                "auc": round(auc(of["present"], of[absent]), 3),
                "false_positives_at_95_recall": round(
                    float((of[absent] >= np.quantile(of["present"], 0.05)).mean()), 3
                ),
            }
            for absent in ("removed", "never")
            if len(of[absent])
        }
        if name == "match":
            figures["95 % of present are above"] = round(float(np.quantile(of["present"], 0.05)), 3)
            figures["best match below 0.2 / 0.3 / 0.4, share"] = {
                absent: [round(float((one < least).mean()), 3) for least in (0.2, 0.3, 0.4)]
                for absent, one in of.items()
                if len(one)
            }
    figures["right of hits with a match"] = _reliability(cases)
    return figures


def _of_others(case: Case, values: Floats) -> float:
    """The most of the hits that are not the query itself."""
    return float(values[case.scores < ITSELF].max())


def _deviations(case: Case) -> Floats:
    of_query = case.usual.sample @ case.part.vector
    return (case.scores - float(of_query.mean())) / float(of_query.std())


def _matches(case: Case) -> Floats:
    return matching.match(case.part, case.vectors, case.usual, case.model)


def _reliability(cases: list[Case]) -> report.Figures:
    """Of the hits of present and absent queries, by tenths of the match: how many, share right."""
    match = np.concatenate([_matches(case) for case in cases])
    right = np.concatenate([case.right for case in cases])
    found = {}
    for low in np.arange(0, 1, 0.1):
        inside = (match >= low) & (match < low + 0.1 + (low > 0.89)) & ~np.isnan(right)
        if inside.any():
            found[f"{low:.1f}"] = [int(inside.sum()), round(float(right[inside].mean()), 2)]
    return found


def auc(present: Floats, absent: Floats) -> float:
    """Share of pairs in which the one present has more; half for equal ones."""
    order = np.sort(absent)
    below = np.searchsorted(order, present, "left") + np.searchsorted(order, present, "right")
    return float(below.mean() / 2 / len(absent))


if __name__ == "__main__":
    main()
