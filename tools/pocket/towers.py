"""The two pretrained image towers (EfficientNet-Lite) and the text tower (MiniLM) as torch modules.

EfficientNet-Lite: Tan and Le 2019 (arXiv:1905.11946), the Lite variant has no squeeze-and-excite
and ReLU6 instead of swish, which is what makes it survive 8 bits.
all-MiniLM-L6-v2: Wang et al. 2020 (arXiv:2002.10957), as tuned by sentence-transformers.
"""

# torch calls modules through Any.
# mypy: disable-error-code="no-any-return, no-untyped-call"

import contextlib
import io
import json
from typing import Any

import torch
from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-untyped]
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from . import parts

# The towers were trained by the original TensorFlow code on (pixel - 127) / 128.
PIXEL_MEAN = 127.0
PIXEL_STD = 128.0
MAX_TOKENS = 64


def fold_batch_norm(conv: Any, norm: Any) -> nn.Sequential:
    """Padding and one plain convolution that do what `conv` then `norm` did at inference."""
    weight, bias = fuse_conv_bn_weights(
        conv.weight,
        conv.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    plain = nn.Conv2d(
        conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, groups=conv.groups
    )
    plain.weight, plain.bias = nn.Parameter(weight.detach()), nn.Parameter(bias.detach())
    pad = conv.static_padding
    if isinstance(pad, nn.ZeroPad2d) and pad.padding[0] == pad.padding[1]:
        plain.padding = (pad.padding[2], pad.padding[0])
        return nn.Sequential(plain)
    return nn.Sequential(pad, plain) if isinstance(pad, nn.ZeroPad2d) else nn.Sequential(plain)


class Block(nn.Module):
    """An inverted-residual block with its batch norms folded in."""

    def __init__(self, source: Any) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        args = source._block_args
        if args.expand_ratio != 1:
            steps += [fold_batch_norm(source._expand_conv, source._bn0), nn.ReLU6()]
        steps += [fold_batch_norm(source._depthwise_conv, source._bn1), nn.ReLU6()]
        steps += [fold_batch_norm(source._project_conv, source._bn2)]
        self.steps = nn.Sequential(*steps)
        stride = args.stride if isinstance(args.stride, int) else args.stride[0]
        self.skip = bool(args.id_skip) and stride == 1 and args.input_filters == args.output_filters

    def forward(self, x: Tensor) -> Tensor:
        y = self.steps(x)
        return x + y if self.skip else y


class ImageTower(nn.Module):
    """EfficientNet-Lite cut in two: `trunk` down to 1/16 of the size, `top` to 1280 channels.

    Only `top` (the last two stages and the head) is ever tuned, so what `trunk` gives can be kept.
    """

    def __init__(self, name: str, part: parts.Part, size: int) -> None:
        super().__init__()
        self.size = size
        source = EfficientNet.from_name(name, image_size=size)
        with contextlib.redirect_stdout(io.StringIO()):
            source.load_state_dict(torch.load(parts.locate(part), weights_only=True), strict=False)
        source.eval()
        blocks = [Block(block) for block in source._blocks]
        cut = max(
            i
            for i, block in enumerate(source._blocks)
            if block._block_args.input_filters != block._block_args.output_filters
            and _stride(block) == 2
        )
        stem = [fold_batch_norm(source._conv_stem, source._bn0), nn.ReLU6()]
        head = [fold_batch_norm(source._conv_head, source._bn1), nn.ReLU6()]
        self.trunk = nn.Sequential(*stem, *blocks[:cut])
        self.top = nn.Sequential(*blocks[cut:], *head)
        self.classes = nn.Linear(1280, 1000)
        self.classes.load_state_dict(source._fc.state_dict())

    def prepare(self, pixels: Tensor) -> Tensor:
        """(n, S, S, 3) uint8 → (n, 3, size, size) normalised; a tower of another size resizes."""
        x = pixels.permute(0, 3, 1, 2).float()
        if x.shape[-1] != self.size:
            x = functional.interpolate(
                x, (self.size, self.size), mode="bilinear", align_corners=False
            )
        return (x - PIXEL_MEAN) / PIXEL_STD

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, S, S, 3) uint8 → (n, 1280, h, w) map before pooling."""
        return self.top(self.trunk(self.prepare(pixels)))


def _stride(block: Any) -> int:
    stride = block._block_args.stride
    return stride if isinstance(stride, int) else stride[0]


def image_towers(lite0_size: int = 224, lite2_size: int = 224) -> list[ImageTower]:
    """Lite0 and Lite2, in eval mode, in the order their features are concatenated."""
    return [
        ImageTower("efficientnet-lite0", parts.LITE0, lite0_size).eval(),
        ImageTower("efficientnet-lite2", parts.LITE2, lite2_size).eval(),
    ]


class Layer(nn.Module):
    """One post-norm transformer layer, attention written out so that it exports to plain ops."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm1 = nn.LayerNorm(width, eps=1e-12)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-12)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        m, t, width = x.shape
        q, k, v = self.qkv(x).view(m, t, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(2, 3) * (width // self.heads) ** -0.5 + bias
        mixed = (scores.softmax(-1) @ v).permute(0, 2, 1, 3).reshape(m, t, width)
        x = self.norm1(x + self.drop(self.out(mixed)))
        return self.norm2(x + self.drop(self.down(functional.gelu(self.up(x)))))


class TextTower(nn.Module):
    """MiniLM with mean pooling: ids and mask (m, t) → (m, 384), not normalised."""

    def __init__(self) -> None:
        super().__init__()
        weights = load_file(parts.locate(parts.MINILM))
        width, inner = 384, 1536
        self.words = nn.Embedding.from_pretrained(weights["embeddings.word_embeddings.weight"])
        positions = weights["embeddings.position_embeddings.weight"]
        kinds = weights["embeddings.token_type_embeddings.weight"]
        self.positions = nn.Parameter(positions[:MAX_TOKENS] + kinds[0])
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.norm.weight = nn.Parameter(weights["embeddings.LayerNorm.weight"])
        self.norm.bias = nn.Parameter(weights["embeddings.LayerNorm.bias"])
        self.layers = nn.ModuleList(Layer(width, 12, inner) for _ in range(6))
        for index, layer in enumerate(self.layers):
            layer.load_state_dict(_bert_layer(weights, f"encoder.layer.{index}."))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        x = self.norm(self.words(input_ids) + self.positions[: input_ids.shape[1]])
        mask = attention_mask.to(x.dtype)
        bias = (1.0 - mask)[:, None, None, :] * -1e4
        for layer in self.layers:
            x = layer(x, bias)
        weight = mask[:, :, None]
        return (x * weight).sum(1) / weight.sum(1).clamp(min=1.0)


def _bert_layer(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """One layer's weights under this module's names."""
    found: dict[str, Tensor] = {}
    for kind in ("weight", "bias"):
        take = {
            "out": "attention.output.dense",
            "norm1": "attention.output.LayerNorm",
            "up": "intermediate.dense",
            "down": "output.dense",
            "norm2": "output.LayerNorm",
        }
        for ours, theirs in take.items():
            found[f"{ours}.{kind}"] = weights[f"{prefix}{theirs}.{kind}"]
        found[f"qkv.{kind}"] = torch.cat(
            [weights[f"{prefix}attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
        )
    return found


def load_tokenizer() -> Tokenizer:
    """MiniLM's WordPiece tokenizer with its fixed padding and truncation switched off."""
    tokenizer = Tokenizer.from_file(str(parts.locate(parts.TOKENIZER)))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def tokenizer_settings() -> dict[str, Any]:
    """tokenizer.json without padding and truncation, for shipping."""
    settings: dict[str, Any] = json.loads(parts.locate(parts.TOKENIZER).read_text("utf-8"))
    return settings | {"padding": None, "truncation": None}


def token_batch(tokenizer: Tokenizer, texts: list[str]) -> tuple[Tensor, Tensor]:
    """Ids and mask (m, t) int64, padded with 0 to the longest text of the batch."""
    rows = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    longest = max(len(row) for row in rows)
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return ids, mask
