"""Short queries as several sentences, whose vectors are averaged.

Models of the CLIP family were trained on sentences: "dog" alone is further from pictures of dogs
than "a photo of a dog" (Radford et al. 2021, 3.1.4). Where that was measured not to help, a query
stays as it is (bench/ranking.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from pixseek.encoders import Encoder
from pixseek.encoders.catalog import MODELS, Family
from pixseek.records import Vector

MOST_WORDS = 3
"""Of a query that is short."""
PUBLISHED = (
    "{}",
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
"""The query, and the seven of CLIP's 80 templates that its authors found to do most of their work:
https://github.com/openai/CLIP/blob/main/notebooks/Prompt_Engineering_for_ImageNet.ipynb"""
TEMPLATES: dict[Family, Sequence[str]] = {
    "CLIP": PUBLISHED,
    "OpenCLIP": PUBLISHED,
    "MobileCLIP": PUBLISHED,
}
"""By family, as published for CLIP and used for the published figures of the others; models that no
table knows get none."""
OF_MODELS: dict[str, Sequence[str]] = {"pocket": ()}
"""By model, in place of the family's, where it was measured (bench/ranking.py; for other models
bench/matching.py --model)."""


def sentences(text: str, model: str) -> list[str]:
    """What is encoded of a query; the query alone when it is long or the model needs no more."""
    known = MODELS.get(model)
    of_family = () if known is None else TEMPLATES.get(known.family, ())
    templates = OF_MODELS.get(model, of_family)
    if not templates or len(text.split()) > MOST_WORDS:
        return [text]
    return [template.format(text) for template in templates]


def text_vector(encoder: Encoder, text: str) -> Vector:
    """(d,) of length 1: the mean direction of the query's sentences."""
    vectors = encoder.encode_texts(sentences(text, encoder.space.model))
    total: Vector = vectors.sum(axis=0)
    return total if len(vectors) == 1 else total / float(total @ total) ** 0.5
