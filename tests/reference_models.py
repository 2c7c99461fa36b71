"""The tiny models in tests/reference, unpacked, and what their libraries answered."""

from __future__ import annotations

import tarfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tools.reference.inputs import FOLDER, MODELS

from pixseek.encoders.catalog import Model, TextPreparation

NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.npz")))
"""One model of each architecture and library."""

_place = TemporaryDirectory(prefix="pixseek-reference-")


@cache
def unpacked() -> Path:
    """The folder with a folder for each model; they are not to be changed."""
    folder = Path(_place.name)
    with tarfile.open(MODELS) as archive:
        archive.extractall(folder, filter="data")
    return folder


@cache
def answers(name: str) -> dict[str, NDArray[Any]]:
    """pixels (n, 3, h, w), ids (m, length), images (n, d), texts (m, d): of its own library."""
    with np.load(FOLDER / f"{name}.npz") as stored:
        return dict(stored)


def model(folder: Path, *, variant: str = "", texts: TextPreparation | None = None) -> Model:
    """A model that no catalog knows, or of which it only says how texts are prepared."""
    name = str(folder)
    return Model(name, "OpenCLIP", "onnx", "", "", "", name, variant=variant, texts=texts)
