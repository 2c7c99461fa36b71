"""Decoders that crash, hang and leave: real ones do so once in a long while, these when asked to.

`deadly_decoders(folder)` makes a `sitecustomize` that Python processes started with the folder on
PYTHONPATH load: there, pictures with one of the `WAYS` in a comment make their decoder do that.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

WAYS = ("segfault", "abort", "leave", "hang", "hold", "greedy", "twice", "fault", "babble")
"""hang: without the interpreter's lock, hold: with it. twice: only the first time (a file beside).
fault: an exception that no decoder should raise. babble: what is no answer, in place of one."""

_CUSTOMIZE = """
import ctypes, os, time
from pathlib import Path
from PIL import Image, JpegImagePlugin, PpmImagePlugin

HERE = Path(__file__).parent

def obey(content):
    if b"deadly-" not in content[:200]:
        return
    way = content.partition(b"deadly-")[2].split()[0].decode()
    with (HERE / "pids").open("a") as pids:
        pids.write(f"{os.getpid()}\\n")
    if way == "twice" and (HERE / "twice").exists():
        return
    (HERE / way).touch()
    if way in ("segfault", "twice"):
        ctypes.string_at(0)
    elif way == "abort":
        os.abort()
    elif way == "leave":
        os._exit(7)
    elif way == "hang":
        time.sleep(600)
    elif way == "hold":
        ctypes.PyDLL(None).pause()
    elif way == "greedy":
        bytearray(8_000_000_000)
    elif way == "babble":
        for number in range(3, 20):
            try:
                os.write(number, b"\\2\\0\\0\\0" + b"\\xff" * 8 + b"{}")
            except OSError:
                pass
    elif way == "fault":
        raise LookupError("a bug")

def deadly(kind, name):
    class Deadly(kind):
        def _open(self):
            obey(self.fp.read(200))
            self.fp.seek(0)
            super()._open()
    Image.OPEN[name] = (Deadly, Image.OPEN[name][1])

deadly(PpmImagePlugin.PpmImageFile, "PPM")
deadly(JpegImagePlugin.JpegImageFile, "JPEG")
"""


def deadly_decoders(folder: Path) -> Path:
    """A folder for PYTHONPATH. `folder / "pids"` then lists processes whose decoder was asked."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_CUSTOMIZE)
    return folder


def asked_in(folder: Path) -> list[int]:
    """The processes whose decoder was asked to die, in order."""
    file = folder / "pids"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def ppm(way: str) -> bytes:
    """A red picture that is whole, but for what it makes its decoder do."""
    return f"P6\n# deadly-{way} \n2 2\n255\n".encode() + bytes([200, 0, 0] * 4)


def jpeg(way: str) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(content, "JPEG", comment=f"deadly-{way} ")
    return content.getvalue()
