"""Settings: defaults < the user's file < environment < arguments. Only engine and faces see them.

Every setting is a field below; docs/settings.md is made from them.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pixseek.errors import InvalidSetting

_PREFIX = "PIXSEEK_"
_TRUTHS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def _setting(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


def _default_library() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("pixseek", appauthor=False)) / "library"


def settings_file() -> Path:
    """The user's file: TOML, one setting a line, in the system's place for configuration."""
    import platformdirs

    return Path(platformdirs.user_config_dir("pixseek", appauthor=False)) / "pixseek.toml"


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set, each by argument, environment variable (PIXSEEK_NAME) or in the file."""

    library: Path = field(
        default_factory=_default_library,
        metadata={"meaning": "folder that holds the library; default: one per user"},
    )
    model: str = _setting(
        "", "model of a new library (docs/models.md); default: the best that is here"
    )
    store: str = _setting("", "store of a new library; default: local")
    device: str = _setting("auto", "what runs the model: auto, cpu, or a device such as cuda")
    offline: bool = _setting(False, "fetch nothing, whatever is named")
    workers: int = _setting(0, "threads that read, decode and encode; 0: one a core")
    memory_mb: int = _setting(
        512, "megabytes that pictures being decoded may take together; one larger goes alone"
    )
    max_megapixels: int = _setting(300, "larger pictures are skipped, in millions of pixels")
    max_file_mb: int = _setting(2000, "larger files are skipped, in megabytes")
    max_seconds: float = _setting(
        60.0, "files that take longer to decode are skipped; waiting for memory does not count"
    )
    max_moments: int = _setting(
        60, "pictures that one file has at most: moments of a video, pages; animations have 8"
    )
    lock_timeout_s: float = _setting(
        3600.0, "seconds to wait while another process is writing to the library"
    )

    thumbnails: bool = _setting(
        False, "make small pictures while indexing, and not only when they are first asked for"
    )
    host: str = _setting("127.0.0.1", "address that pixseek serve listens on")
    port: int = _setting(8765, "its port; 0: one that is free")
    token: str = field(
        default="",
        repr=False,
        metadata={
            "meaning": "what its clients must send; default: nothing where only this machine can"
            " ask, else one is made up"
        },
    )
    hosts: str = _setting("", "names it answers to besides localhost and `host`, divided by commas")
    requests_per_s: int = _setting(100, "requests a second of one client, four times that at once")
    upload_mb: int = _setting(
        50, "megabytes of a picture that is searched by, uploaded or fetched from a URL"
    )
    upload_megapixels: int = _setting(100, "its pixels, in millions")
    threads: int = _setting(4, "requests that pixseek serve works on at once")
    queue: int = _setting(64, "requests that may wait for it; more are sent away")
    fetch_images: bool = _setting(
        False,
        "let clients of pixseek serve search by pictures at URLs (docs/query.md); you yourself can,"
        " unless `offline`",
    )
    fetch_hosts: str = _setting(
        "",
        "hosts that such pictures may be fetched from although they are in this machine or a"
        " private network, divided by commas",
    )

    def private_hosts(self) -> list[str]:
        """The hosts of `fetch_hosts`, in lower case."""
        named = (name.strip().strip("[]").lower() for name in self.fetch_hosts.split(","))
        return [name for name in named if name]

    def worker_count(self) -> int:
        """Threads to use: as set, or one for each core this process may run on."""
        if self.workers:
            return self.workers
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1


def load(
    arguments: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Settings from all sources; an argument that is None counts as not given.

    Raises InvalidSetting, naming the source, for unknown names in the file and for bad values.
    """
    values: dict[str, object] = {}
    file = settings_file()
    try:
        text = file.read_bytes()
    except OSError:
        text = b""
    try:
        read = tomllib.loads(text.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidSetting(str(file), str(error), "a TOML file", str(file)) from error
    known = {one.name: one for one in fields(Settings)}
    for name, value in read.items():
        if name not in known:
            raise InvalidSetting(name, value, f"one of {', '.join(known)}", str(file))
        values[name] = _checked(name, value, str(file))
    for name in known:
        variable = _PREFIX + name.upper()
        given = (os.environ if environ is None else environ).get(variable)
        if given:
            values[name] = _checked(name, given, f"environment variable {variable}")
    for name, value in (arguments or {}).items():
        if value is not None:
            values[name] = _checked(name, value, "argument")
    return Settings(**values)  # type: ignore[arg-type]  # _checked made each of its field's type


def _checked(name: str, value: object, source: str) -> object:
    """The value as the setting's type."""
    if name == "library":
        return Path(os.path.expanduser(str(value)))  # noqa: PTH111  Path raises for unknown users
    if name in ("model", "store", "device", "host", "token", "hosts", "fetch_hosts"):
        return str(value)
    if name in ("offline", "thumbnails", "fetch_images"):
        if str(value).lower() not in _TRUTHS:
            raise InvalidSetting(name, value, f"one of {', '.join(_TRUTHS)}", source)
        return _TRUTHS[str(value).lower()]
    in_seconds = name in ("lock_timeout_s", "max_seconds")
    kind, expected = (float, "a number") if in_seconds else (int, "a whole number")
    try:
        number = kind(str(value))
    except ValueError as error:
        raise InvalidSetting(name, value, expected, source) from error
    lowest = 0 if name in ("workers", "lock_timeout_s", "port") else 1
    if not number >= lowest:  # nor NaN
        raise InvalidSetting(name, value, f"{expected} of at least {lowest}", source)
    return number
