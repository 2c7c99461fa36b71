"""The models there are: which are here, how fast they are here, which one a library should have."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pixseek.encoders import (
    DEFAULT_MODEL,
    RUNTIMES,
    Encoder,
    Options,
    choice,
    hub,
    load_encoder,
    resolve,
)
from pixseek.encoders.catalog import MODELS, Model
from pixseek.errors import MissingExtra, UnknownModel
from pixseek.records import Exported, OnFetch
from pixseek.settings import Settings

FETCHED = ("onnx", "transformers")
"""Runtimes whose models are repositories of the hub."""
PICTURES_AT_ONCE = 4
"""As when indexing."""
MEASURED_S = 3.0
ROUNDS = 3
"""A model is measured for so long, and at least so often."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a model was when it was measured on this machine."""

    images_per_s: float
    """Median; pictures that were decoded already."""
    threads: int
    runs_on: str
    measured: str
    """ISO 8601."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A model of the catalog, and how it stands here."""

    model: Model
    extra: str | None
    """What must be installed to run it."""
    folder: Path | None
    """Where its files are; None when they are not here, or part of the package."""
    here: bool
    """Whether it runs without anything being fetched."""
    speed: Speed | None
    default: bool
    """Whether a new library gets it when no other is named."""
    recommended: bool
    """Whether it is the one to fetch, by the rule that chooses the default."""


def options(settings: Settings, on_fetch: OnFetch | None = None) -> Options:
    """How the settings say that models are found and run; see Options.on_fetch."""
    return Options(offline=settings.offline, device=settings.device, on_fetch=on_fetch)


def default_model(settings: Settings) -> str:
    """The model of a new library: the one in the settings, or else the best that is here."""
    if settings.model:
        return settings.model
    found = options(settings)
    here = [model for model in MODELS.values() if hub.find(model, found) is not None]
    best = choice.best(here, _rates())
    return DEFAULT_MODEL if best is None else best.name


def recommended_model() -> Model:
    """The best model there is for this machine, whether it is here or not."""
    return choice.best(MODELS.values(), _rates()) or MODELS[DEFAULT_MODEL]


def better_than(model: str) -> Model | None:
    """What to have instead of the built-in model; None for any other."""
    return recommended_model() if model == DEFAULT_MODEL else None


def entries(settings: Settings) -> list[Entry]:
    """Every model of the catalog."""
    found, speeds = options(settings), _speeds()
    default, recommended = default_model(settings), recommended_model().name
    made = []
    for name, model in MODELS.items():
        folder = hub.find(model, found) if model.source else None
        made.append(
            Entry(
                model,
                RUNTIMES[model.runtime].extra,
                folder,
                here=folder is not None or not model.source,
                speed=speeds.get(name),
                default=name == default,
                recommended=name == recommended,
            )
        )
    return made


def pull(
    name: str, settings: Settings, *, upgrade: bool = False, on_fetch: OnFetch = lambda _: None
) -> Path | None:
    """Fetch a model, or check what is here of it; returns its folder, or None if it has none.

    upgrade: take the newest commit of its revision; without it, a model that is here stays as it
    is. on_fetch: called as bytes come, on the calling thread.
    Raises UnknownModel, ModelNotFetched, ModelUnavailable, MissingExtra.
    """
    model = resolve(name)
    if model is None:
        raise UnknownModel(name, list(MODELS))
    found = options(settings, on_fetch)
    if not model.source:
        return None
    if Path(model.source).is_absolute():
        return hub.folder_of(model, found)
    if model.runtime in FETCHED:
        from pixseek.encoders.fetching import fetch

        return fetch(model, found, upgrade=upgrade)
    load_encoder(name, found)
    return hub.find(model, found)


def measurable(settings: Settings) -> list[str]:
    """The models that are here and have a speed worth knowing."""
    return [e.model.name for e in entries(settings) if e.here and e.model.runtime != "palette"]


def measure(name: str, settings: Settings) -> Speed:
    """Run a model on random pictures, on as many threads as indexing does, and remember its speed.

    Raises UnknownModel, ModelNotFetched, ModelUnavailable, MissingExtra.
    """
    from statistics import median  # slow to import

    encoder, threads = load_encoder(name, options(settings)), settings.worker_count()
    speed = Speed(
        round(median(_rounds(encoder, threads)), 2),
        threads,
        encoder.runs_on,
        datetime.now().astimezone().isoformat(timespec="seconds"),
    )
    remembered = hub.read_json(_speeds_file())
    remembered[name] = {field: getattr(speed, field) for field in Speed.__dataclass_fields__}
    with suppress(OSError):  # then it is not shown next time
        hub.write_json(_speeds_file(), remembered)
    return speed


def runs_on(settings: Settings) -> str:
    """What ONNX models run on here, and why on nothing faster; for people.

    Raises DeviceUnavailable when the device in the settings is not there.
    """
    import onnxruntime

    from pixseek.encoders.providers import choose

    choice = choose(settings.device, onnxruntime.get_available_providers())
    why = f" ({choice.why})" if choice.why else ""
    return f"ONNX Runtime {onnxruntime.__version__} on {choice.device.called}{why}"


def _rounds(encoder: Encoder, threads: int) -> list[float]:
    """Images a second of each round; a round is one batch on every thread. The first warms up."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    from PIL import Image

    side = 2 * encoder.input_size
    pixels = np.random.default_rng(0).integers(
        0, 256, (PICTURES_AT_ONCE, side, side, 3), dtype=np.uint8
    )
    pictures = [Image.fromarray(one) for one in pixels]
    rates: list[float] = []
    with ThreadPoolExecutor(threads) as pool:
        ends = float("inf")
        while len(rates) <= ROUNDS or time.perf_counter() < ends:
            started = time.perf_counter()
            for _ in pool.map(encoder.encode_images, [pictures] * threads):
                pass
            rates.append(threads * PICTURES_AT_ONCE / (time.perf_counter() - started))
            ends = min(ends, time.perf_counter() + MEASURED_S)
    return rates[1:]


def _speeds_file() -> Path:
    return hub.cache() / "speeds.json"


def _speeds() -> dict[str, Speed]:
    found = {}
    for name, fields in hub.read_json(_speeds_file()).items():
        with suppress(TypeError):  # of another version, or damaged: it can be measured again
            speed = Speed(**fields)  # type: ignore[arg-type]  # as `measure` wrote it
            if isinstance(speed.images_per_s, float):
                found[name] = speed
    return found


def _rates() -> dict[str, float]:
    return {name: speed.images_per_s for name, speed in _speeds().items()}


def export_model(source: str, folder: Path, *, int8: bool = False) -> Exported:
    """Turn a model of open_clip or transformers into a folder that runs without them.

    See `encoders.export.export`; raises MissingExtra when what it needs is not installed.
    """
    try:
        from pixseek.encoders.export import export
    except ModuleNotFoundError as error:
        raise MissingExtra("exporting a model", "export") from error
    return export(source, folder, int8=int8)
