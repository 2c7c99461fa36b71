"""What a caller names, and the settings where nothing is named → models, stores, limits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pixseek import inventory, settings
from pixseek.encoders import DEFAULT_MODEL, Encoder, load_encoder, resolve
from pixseek.given import Given
from pixseek.records import Bounds, Fetching
from pixseek.stores.address import Address

if TYPE_CHECKING:
    from pixseek.collection import StoreItems
    from pixseek.workers import Limits


def open_items(
    store: str | object,
    *,
    embeddings: object | None = None,
    model: str | None = None,
    options: settings.Settings | None = None,
) -> StoreItems:
    """Open a store that belongs to no library, or make it.

    store: a URL, or an object as ImageSearchEngine takes them. embeddings, model: as there; when
    neither is given, the model of the settings, or the default.
    Raises ModelMismatch when the store holds vectors of another model; what opening a store raises.
    """
    from pixseek.collection import StoreItems

    chosen = options or settings.load()
    given = Given(embeddings, None if isinstance(store, str) else store)
    named, url = given.names(model, store if isinstance(store, str) else None)
    name = named or chosen.model or DEFAULT_MODEL
    encoder = given.load(name, inventory.options(chosen))
    opened = given.open(addressed(url or "memory"), Path(), encoder.space)
    one_a_file = replace(limits(chosen), moments=1)  # whoever adds it gives the one id
    return StoreItems(opened, lambda: encoder, one_a_file)


def load_model(name: str | None = None, options: settings.Settings | None = None) -> Encoder:
    """The model of that name; None takes the one of the settings, or the default.

    Raises UnknownModel, MissingExtra, ModelUnavailable.
    """
    chosen = options or settings.load()
    return load_encoder(name or chosen.model or DEFAULT_MODEL, inventory.options(chosen))


def limits(chosen: settings.Settings) -> Limits:
    """The bounds of a run that reads pictures."""
    from pixseek.workers import Limits

    return Limits(
        workers=chosen.worker_count(),
        memory_bytes=chosen.memory_mb * 1_000_000,
        picture=bounds(chosen),
        moments=chosen.max_moments,
    )


def bounds(chosen: settings.Settings) -> Bounds:
    """What each picture file may ask for."""
    return Bounds(
        max_bytes=chosen.max_file_mb * 1_000_000,
        max_pixels=chosen.max_megapixels * 1_000_000,
        max_seconds=chosen.max_seconds,
        fetching=Fetching(
            refusal="the setting 'offline' is on" if chosen.offline else "",
            hosts=frozenset(chosen.private_hosts()),
            max_bytes=chosen.upload_mb * 1_000_000,
            max_pixels=chosen.upload_megapixels * 1_000_000,
        ),
    )


def named(model: str) -> str:
    """A model's name as a library keeps it: a folder by its whole path."""
    found = resolve(model)
    return model if found is None else found.name


def addressed(store: str) -> str:
    """A store's URL as a library keeps it: with its folder, if it has one, by its whole path."""
    return str(Address.parse(store).absolute())
