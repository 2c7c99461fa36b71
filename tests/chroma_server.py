"""A Chroma server of the tests' own, that may be killed and started again."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path


class ChromaServer:
    """`chroma run`, on a free port."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._folder = folder
        self.start()

    def start(self) -> None:
        chroma = Path(sys.executable).parent / "chroma"
        place = ["--host", "127.0.0.1", "--port", f"{self.port}", "--path", f"{self._folder}"]
        self._process = subprocess.Popen(
            [chroma, "run", *place], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return
            except OSError:
                time.sleep(0.05)
        raise TimeoutError

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
