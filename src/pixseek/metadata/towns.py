"""Latitude and longitude → country, region and city: those of the nearest town.

The towns are the 131,808 of GeoNames with at least 1,000 people (CC BY 4.0, see NOTICE), made into
`towns.npz` by tools/towns.py. Nothing is asked of the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pixseek.records import Metadata

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FARTHEST_KM = 100.0
"""Farther from every town nothing is said: at sea, say."""
_KM_PER_DEGREE = 111.2
_PER_DEGREE = 1e4
"""Coordinates are kept in ten-thousandths of a degree: eleven metres."""


@dataclass(frozen=True, slots=True)
class Town:
    """A town, and what it lies in."""

    city: str
    region: str
    """Empty where GeoNames has none."""
    country: str


def with_towns(metadata: Metadata) -> Metadata:
    """The metadata with `country`, `region` and `city` of its place, where they are not there."""
    return {**names_of(metadata), **metadata}


def names_of(metadata: Metadata) -> Metadata:
    """`country`, `region` and `city` of the nearest town; {} without a place or a town near it."""
    latitude, longitude = metadata.get("latitude"), metadata.get("longitude")
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return {}
    town = nearest(round(latitude, 4), round(longitude, 4))
    if town is None:
        return {}
    named: Metadata = {"country": town.country, "region": town.region, "city": town.city}
    return {name: value for name, value in named.items() if value}


@lru_cache(maxsize=4096)
def nearest(latitude: float, longitude: float) -> Town | None:
    """The town whose edge is nearest; None when all are farther than FARTHEST_KM.

    A town is taken for a disc that its people fill, at 6,000 a square kilometre, of at most 3 km,
    so that a place in a city is the city's, and not of a quarter whose middle happens to be nearer.
    """
    import numpy as np

    towns = _towns()
    reach = FARTHEST_KM / _KM_PER_DEGREE * _PER_DEGREE
    at = latitude * _PER_DEGREE
    first, last = np.searchsorted(towns.latitudes, (at - reach, at + reach))
    north = (towns.latitudes[first:last] - at) / _PER_DEGREE
    east = np.abs(towns.longitudes[first:last] / _PER_DEGREE - longitude)
    east = np.minimum(east, 360 - east) * np.cos(np.radians(latitude + north / 2))
    km = _KM_PER_DEGREE * np.hypot(north, east)
    if not km.size or km.min() > FARTHEST_KM:
        return None
    which = int(first + np.argmin(km - towns.radii[first:last] / 10))
    city = towns.names[which]
    region, country = towns.regions[int(towns.in_region[which])].split("\t")
    return Town(city, region, country)


@dataclass(frozen=True, slots=True)
class _Towns:
    """A town a place, from south to north."""

    latitudes: NDArray[np.int32]
    longitudes: NDArray[np.int32]
    radii: NDArray[np.uint8]
    """In tenths of a kilometre."""
    in_region: NDArray[np.uint16]
    names: list[str]
    regions: list[str]
    """Region, tab, country."""


@lru_cache(maxsize=1)
def _towns() -> _Towns:
    import numpy as np

    with np.load(Path(__file__).with_name("towns.npz"), allow_pickle=False) as kept:
        return _Towns(
            kept["latitudes"],
            kept["longitudes"],
            kept["radii"],
            kept["in_region"],
            kept["names"].tobytes().decode().split("\n"),
            kept["regions"].tobytes().decode().split("\n"),
        )
