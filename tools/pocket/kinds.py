"""Dev pictures whose kind the untuned float32 towers are sure of: a check that names still work."""

from pathlib import Path

import torch

from . import parts
from .data import read_captioned, read_pixels
from .towers import image_towers

SURE = 0.8


def write_kinds(data_folder: Path, out: Path) -> None:
    """Write lines of picture, tab, kind, for each dev picture with a class above SURE."""
    data = read_captioned(data_folder, "dev")
    names = parts.class_names()
    towers = image_towers()
    size = towers[0].size
    lines: list[str] = []
    for file, path in zip(data.files, data.paths(), strict=True):
        pixels = torch.from_numpy(read_pixels([path], size))
        with torch.inference_mode():
            logits = [tower.classes(tower(pixels).mean((2, 3))) for tower in towers]
            share, best = torch.stack(logits).mean(0).softmax(1)[0].max(0)
        if share > SURE:
            lines.append(f"{file}\t{names[int(best)]}\n")
    out.write_text("".join(lines), "utf-8")
