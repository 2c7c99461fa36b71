"""Encoders: pictures and texts → unit vectors of one space.

`Encoder` is the seam, `RUNTIMES` its one table; `catalog` holds the models that have a name.
Strangers add theirs under the entry point group `pixseek.encoders`, each naming a class.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from pixseek.encoders.catalog import MODELS, Model
from pixseek.errors import MissingExtra, UnknownModel
from pixseek.records import OnFetch, Space, Vectors

if TYPE_CHECKING:
    from PIL import Image


class Encoder(Protocol):
    """Turns pictures and texts into vectors that can be compared. Safe to call from threads."""

    @property
    def space(self) -> Space: ...

    @property
    def input_size(self) -> int:
        """Pixels on the side of the model's input: the reader keeps at least twice as many."""
        ...

    @property
    def runs_on(self) -> str:
        """What computes the vectors, for people: library and device, and why no faster one."""
        ...

    def encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        """images: upright RGB, any size (reader.read gives these).

        Returns (n, d) float32, rows of length 1, in the order given; no images gives (0, d).
        """
        ...

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """texts: any language the model knows, any length (what is past its limit is cut off).

        Returns (m, d) float32, rows of length 1, in the order given; no texts gives (0, d).
        """
        ...


class Runtime(NamedTuple):
    """What runs models of one kind: its module has `load(model, options) -> Encoder`."""

    module: str
    extra: str | None = None
    """The extra that brings what it needs."""


RUNTIMES: dict[str, Runtime] = {
    "pocket": Runtime("pixseek.encoders.pocket"),
    "palette": Runtime("pixseek.encoders.palette"),
    "onnx": Runtime("pixseek.encoders.onnx"),
    "open_clip": Runtime("pixseek.encoders.open_clip", "open_clip"),
    "transformers": Runtime("pixseek.encoders.transformers", "transformers"),
    "langchain": Runtime("pixseek.encoders.langchain"),
}

NAMED_BY_SOURCE = ("onnx", "open_clip", "transformers", "langchain")
"""Runtimes whose models can be named `RUNTIME:SOURCE`."""

_CHECKPOINT = re.compile(r"(?P<model>[\w.-]+)/(?P<file>.+\.(safetensors|pt|pth|bin))")
"""`MODEL/FILE`: a checkpoint of an architecture of open_clip, on this machine."""

DEFAULT_MODEL = "pocket"


@dataclass(frozen=True, slots=True)
class Options:
    """How models are found and run."""

    folder: Path | None = None
    """Where fetched models are kept; None: the user's cache."""
    offline: bool = False
    """Whether nothing may be fetched, whoever is told."""
    device: str = "auto"
    """auto, cpu, or a device of the runtime, such as cuda."""
    on_fetch: OnFetch | None = None
    """Told of models while they are fetched; None: nothing is fetched."""


def resolve(name: str) -> Model | None:
    """The model of that name: of the catalog, or `RUNTIME:SOURCE`, or a folder.

    A source on the hub may be followed by @REVISION, and the source or folder of an ONNX model by
    #VARIANT, the ending of its files (int8, fp16).
    A folder holds an ONNX model in one of the two layouts of the hub, a model of open_clip, or else
    one of transformers. A path in the source of a torch model (see `_located`) becomes a whole one.
    Returns None for names that only a stranger's entry point may know.
    """
    if name in MODELS:
        return MODELS[name]
    runtime, _, source = name.partition(":")
    if runtime in NAMED_BY_SOURCE and source:
        located = _located(runtime, source)
        if located is not None:
            return _unknown(f"{runtime}:{located}", runtime, located)
        source, _, variant = source.partition("#")
        source, _, revision = source.partition("@")
        model = _unknown(name, runtime, source)
        return replace(model, revision=revision or model.revision, variant=variant)
    whole = _whole(name)
    for folder, variant in ((whole, ""), whole.rpartition("#")[::2]):
        if folder and Path(folder).is_dir() and (os.sep in name or name.startswith((".", "~"))):
            if any(Path(folder).glob("**/*.onnx")):
                return replace(_unknown(whole, "onnx", folder), variant=variant)
            own = (Path(folder) / "open_clip_config.json").is_file()
            return _unknown(whole, "open_clip" if own else "transformers", folder)
    return None


def _located(runtime: str, source: str) -> str | None:
    """The source of a torch model that is a path, or ends with one, with the whole path.

    A folder begins with `/`, `.` or `~`, or comes after `local-dir:`; `MODEL/FILE` of open_clip
    ends as checkpoints do. None for what is not on this machine.
    """
    if runtime not in ("open_clip", "transformers"):
        return None
    checkpoint = _CHECKPOINT.fullmatch(source)
    if runtime == "open_clip" and checkpoint:
        return f"{checkpoint['model']}/{_whole(checkpoint['file'])}"
    place = source.removeprefix("local-dir:")
    is_path = place != source or place.startswith((".", "~")) or os.path.isabs(place)  # noqa: PTH117
    return _whole(place) if is_path else None


def _whole(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111  keeps symlinks


def _unknown(name: str, runtime: str, source: str) -> Model:
    return Model(name, "OpenCLIP", runtime, "see its source", "see its source", "", source)


def load_encoder(name: str, options: Options = Options()) -> Encoder:
    """The encoder of that name; it may load weights only when it first encodes.

    Raises UnknownModel, MissingExtra when what it needs is not installed, and, now or when first
    used, ModelUnavailable when its files are missing or damaged.
    """
    model = resolve(name)
    if model is None:
        from importlib.metadata import entry_points  # slow to import

        for point in entry_points(group="pixseek.encoders", name=name):
            return cast("type[Encoder]", point.load())()
        raise UnknownModel(name, list(MODELS))
    runtime = RUNTIMES[model.runtime]
    try:
        module = import_module(runtime.module)
    except ModuleNotFoundError as error:
        if runtime.extra is None:
            raise
        raise MissingExtra(f"the model {name!r}", runtime.extra) from error
    return cast("Encoder", module.load(model, options))
