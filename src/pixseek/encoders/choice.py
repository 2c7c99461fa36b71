"""Which model is best, by what is known of each (docs/decisions/006-the-default-model.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pixseek.encoders import RUNTIMES
from pixseek.encoders.catalog import MODELS, Model

PERMISSIVE = ("Apache-2.0", "MIT")
ENOUGH_IMAGES_PER_S = 3.0
"""10,000 pictures in about an hour."""
MOST_WORK = 5.5
"""Of models that are taken before any was measured: up to a ViT-B/16 at 256 pixels."""


def best(models: Iterable[Model], speeds: Mapping[str, float]) -> Model | None:
    """The model that a library should have, of these; None when the rule takes none of them.

    speeds: images a second of models that were measured on this machine, by name.
    """
    fit = [
        model
        for model in models
        if model.licence in PERMISSIVE
        and RUNTIMES[model.runtime].extra is None
        and model.quality.coco_r1 is not None
        and _fast_enough(model, speeds)
    ]
    return max(fit, key=_rank, default=None)


def _fast_enough(model: Model, speeds: Mapping[str, float]) -> bool:
    """As measured; else as the measured model of most similar work lets expect; else by work."""
    if model.name in speeds:
        return speeds[model.name] >= ENOUGH_IMAGES_PER_S
    if model.work is None:
        return False
    known = {MODELS[name].work or 0.0: speed for name, speed in speeds.items() if name in MODELS}
    known.pop(0.0, None)
    if not known:
        return model.work <= MOST_WORK
    work = model.work
    nearest = min(known, key=lambda other: max(other / work, work / other))
    return known[nearest] * nearest / work >= ENOUGH_IMAGES_PER_S


def _rank(model: Model) -> tuple[float, int, str]:
    """Better quality first, then the smaller download; the name settles what is left."""
    return model.quality.coco_r1 or 0.0, -(model.megabytes or 0), model.name
