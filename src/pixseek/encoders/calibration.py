"""Scores of a text and a picture → how likely the picture shows what the text says, 0 to 1.

A score means something else with every model. Where the scores of right pairs and of strangers are
both about normal and equally wide, and both are as likely beforehand, the chance that a pair is
right is a logistic function of its score (Bishop 2006, Pattern Recognition and Machine Learning,
4.2): one half in the middle between both means, steeper the narrower they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pixseek.encoders.catalog import MODELS, Family

_SD_OF_5_TO_95 = 3.29
"""Standard deviations of a normal distribution between its 5th and 95th percentiles."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """One model's scores of texts and pictures."""

    middle: float
    """The score at which a right pair and a stranger are equally likely."""
    steepness: float

    def relevance(self, score: float) -> float:
        """0 to 1; 0.5 at the middle, higher is likelier."""
        return 0.5 * (1 + math.tanh(self.steepness * (score - self.middle) / 2))


FAMILIES: Mapping[Family, Calibration] = {
    "CLIP": Calibration(0.23, 100.0),
    "OpenCLIP": Calibration(0.20, 80.0),
    "MobileCLIP": Calibration(0.17, 60.0),
    "SigLIP": Calibration(0.11, 117.0),
    "SigLIP 2": Calibration(0.15, 113.0),
    "pixseek": Calibration(0.5, 10.0),
}
"""Rough values, not measured here: for CLIP and its kin steepness about their logit scale and a
middle between the scores usual for captions and for strangers; for SigLIP the scale and bias that
its training ends with, about 117 and -13 (SigLIP 2: 113 and -17). Of pixseek's own models, `pocket`
has measured values in its config.json; 0.5 is for `palette`, whose scores reach from 0 to 1."""


def calibration(model: str) -> Calibration:
    """Of a model by the name its space has; models that no table knows are taken for OpenCLIP's."""
    if model == "pocket":
        return _of_pocket()
    known = MODELS.get(model)
    return FAMILIES["OpenCLIP" if known is None else known.family]


def text_beside_pictures(model: str) -> float:
    """How much a text counts that is added to a picture, which counts 1.

    Pictures of a library differ more in how near they are to a picture than to a text: at 1, the
    text would hardly change what is found. Measured for `pocket` (bench/query); of other models it
    is known that the difference is as large or larger. `palette` has no such two kinds of vectors.
    """
    return 1.0 if model == "palette" else 2.0


def measured(pairs: Mapping[str, float], strangers: Mapping[str, float]) -> Calibration:
    """From percentiles of scores, by p05, p50 and p95."""
    widths = [(one["p95"] - one["p05"]) / _SD_OF_5_TO_95 for one in (pairs, strangers)]
    apart = pairs["p50"] - strangers["p50"]
    middle = (pairs["p50"] + strangers["p50"]) / 2
    return Calibration(middle, apart / (sum(width**2 for width in widths) / 2))


@cache
def _of_pocket() -> Calibration:
    from pixseek.encoders.pocket import scores

    return measured(*scores())
