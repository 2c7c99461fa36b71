"""Milvus Lite, the engine behind `milvus:FILE.db`: one for each file, inside this process.

It answers like a Milvus server on a loopback port of its own. Stores of this process that keep
sets of vectors in the same file share it; the last one that closes stops it.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

import grpc
from milvus_lite.adapter.grpc.server import start_server_in_thread
from milvus_lite.db import MilvusLite
from milvus_lite.exceptions import DataDirLockedError, MilvusLiteError

from pixseek.errors import StoreUnavailable

STOP_S = 2.0
"""How long requests under way are waited for when an engine stops."""

# What it reports goes to the log handlers that the program has, and is not printed without any.
logging.getLogger("milvus_lite").addHandler(logging.NullHandler())


@dataclass
class _Engine:
    server: grpc.Server
    data: MilvusLite
    port: int
    users: int = 0


_engines: dict[Path, _Engine] = {}
_starting = threading.Lock()


def start(file: Path, shown: str) -> str:
    """Start the engine on a file (a folder to the system), or share it; returns its address.

    shown: what the store is called in errors. Raises StoreUnavailable when another process has
    the file open, it is no file of Milvus Lite 3, or the disk refuses.
    """
    where = file.resolve()
    with _starting:
        if where not in _engines:
            try:
                where.parent.mkdir(parents=True, exist_ok=True)
                _engines[where] = _Engine(*start_server_in_thread(str(where)))
            except DataDirLockedError as error:
                reason = (
                    "another process has it open, and Milvus Lite lets only one in; wait for it, "
                    "or run a Milvus server and name that"
                )
                raise StoreUnavailable(shown, reason) from error
            except (MilvusLiteError, OSError, ValueError) as error:
                raise StoreUnavailable(shown, f"Milvus Lite says {error}") from error
        engine = _engines[where]
        engine.users += 1
        return f"http://127.0.0.1:{engine.port}"


def stop(file: Path) -> None:
    """Let go of the engine that `start` gave; when nobody has it any more it ends."""
    where = file.resolve()
    with _starting:
        engine = _engines[where]
        engine.users -= 1
        if engine.users == 0:
            engine.server.stop(grace=STOP_S).wait()
            engine.data.close()
            del _engines[where]
