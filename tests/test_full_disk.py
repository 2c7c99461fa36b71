"""A disk that is full in the middle: the error says so, and nothing acknowledged is lost.

The system's limit for the size of a file stands in for a full disk: engines meet it at the same
calls. Milvus Lite does not: it keeps many small files.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.store_contract import SPACE, units

from pixseek.records import Item
from pixseek.stores import open_store

SCRIPT = """
import resource, signal, sys
from pathlib import Path
from tests.store_contract import SPACE, units
from pixseek.errors import PixseekError
from pixseek.records import Item
from pixseek.stores import open_store

store = open_store(sys.argv[1], Path(sys.argv[2]), SPACE)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    for start in range(0, 100_000, 100):
        rows = units(start, 100, SPACE.dimensions)
        store.add([Item(f"{start + i}", row, {"t": "x" * 300}) for i, row in enumerate(rows)])
        print(start + 100, flush=True)
except PixseekError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["local", "chroma", "qdrant", "lancedb"])
def test_a_full_disk_is_said_and_loses_nothing_that_was_acknowledged(
    name: str, tmp_path: Path
) -> None:
    url = name if name == "local" else f"{name}:{tmp_path / 'engine'}"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, url, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    *acknowledged, said = [line for line in done.stdout.splitlines() if line.strip()]
    assert "cannot be used" in said
    count = int(acknowledged[-1]) if acknowledged else 0
    store = open_store(url, tmp_path, None)
    found = store.fetch([str(i) for i in range(count)])
    assert [item.id for item in found] == [str(i) for i in range(count)]
    store.add([Item("after", units(1, 1, SPACE.dimensions)[0], {})])
    assert len(store.fetch(["after"])) == 1
    store.close()
