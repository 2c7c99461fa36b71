"""The answers in tests/reference are what the libraries answer today, with these models."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.reference_models import NAMES, answers
from tools.reference import models
from tools.reference.__main__ import answers as answered

from pixseek.encoders.references import open_reference


def test_every_model_has_answers() -> None:
    assert set(NAMES) == set(models.MODELS)


@pytest.mark.parametrize("name", models.MODELS)
def test_the_answers_are_those_of_the_library(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made, kept = answered(open_reference(models.make(name, Path(os.curdir) / name))), answers(name)
    assert (made["ids"] == kept["ids"]).all()
    np.testing.assert_allclose(made["pixels"], kept["pixels"], atol=1e-6)
    for vectors in ("images", "texts"):
        np.testing.assert_allclose((made[vectors] * kept[vectors]).sum(axis=1), 1, atol=1e-5)


def test_weights_are_the_same_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("one", "other"):
        models.make("open-clip", tmp_path / folder)
        torch.manual_seed(5)
    one, other = (tmp_path / name / "open_clip_model.safetensors" for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()
