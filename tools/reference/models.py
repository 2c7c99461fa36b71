"""Tiny models of the real architectures, with weights from a seed, as their libraries save them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from open_clip.factory import create_model
from safetensors.torch import save_file
from timm.models import build_model_with_cfg, fastvit, register_model
from timm.models.vision_transformer import VisionTransformer

from tools.reference import vocabularies

ROWS = 251
"""Rows of an embedding that differ; then they come again, so that the file packs small."""

HALF = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
BARE = {"mean": [0.0] * 3, "std": [1.0] * 3, "interpolation": "bilinear"}
CLIP_VISION = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
CLIP_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
SIGLIP_VISION = {
    "image_size": 48,
    "timm_model_name": "vit_tiny_siglip_reference",
    "timm_model_pretrained": False,
    "timm_pool": "map",
    "timm_proj": "none",
}
SIGLIP_TEXT = {
    "context_length": 64,
    "vocab_size": vocabularies.SIZE + 64,
    "tokenizer_kwargs": {"clean": "canonicalize"},
    "width": 24,
    "heads": 2,
    "layers": 2,
    "no_causal_mask": True,
    "proj_bias": True,
    "pool_type": "last",
    "norm_kwargs": {"eps": 1e-6},
}


@register_model
def vit_tiny_siglip_reference(**options: Any) -> VisionTransformer:
    """timm's SigLIP tower, small."""
    small = {"img_size": 48, "patch_size": 16, "embed_dim": 24, "depth": 2, "num_heads": 2}
    options = {"class_token": False, "global_pool": "map", **small, **options}
    return build_model_with_cfg(VisionTransformer, "vit_tiny_siglip_reference", **options)


@register_model
def fastvit_tiny_reference(**options: Any) -> fastvit.FastVit:
    """timm's MobileCLIP S0 tower, with a block a stage and thin."""
    return build_model_with_cfg(
        fastvit.FastVit,
        "fastvit_tiny_reference",
        layers=(1, 1, 1, 1),
        embed_dims=(8, 16, 32, 64),
        mlp_ratios=(2, 2, 2, 2),
        se_downsamples=(False, False, True, True),
        pos_embs=(
            None,
            None,
            None,
            partial(fastvit.RepConditionalPosEnc, spatial_shape=(7, 7)),
        ),
        token_mixers=("repmixer", "repmixer", "repmixer", "attention"),
        lkc_use_act=True,
        **options,
    )


def _open_clip(
    folder: Path,
    config: dict[str, Any],
    preparation: dict[str, Any],
    vocabulary: Callable[[Path], None] | None = None,
) -> str:
    """Save one in open_clip's way; returns its name."""
    folder.mkdir(parents=True)
    if vocabulary is not None:
        vocabulary(folder)
        config["text_cfg"]["hf_tokenizer_name"] = folder.name
    both = {"model_cfg": config, "preprocess_cfg": preparation}
    (folder / "open_clip_config.json").write_text(json.dumps(both, indent=2))
    model = create_model(f"local-dir:{folder}", load_weights=False, pretrained_text=False)
    _shake(model)
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    return f"open_clip:local-dir:{folder}"


def _shake(model: torch.nn.Module) -> None:
    """Weights that make vectors differ: fresh ones leave many layers at zero or at one."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "logit" in name:
                continue
            if "embed" in name and value.ndim == 2 and len(value) > ROWS:
                some = torch.randn(ROWS, value.shape[1]) * 0.5
                value.copy_(some[torch.arange(len(value)) % ROWS])
            elif value.ndim > 1:
                # As wide as keeps what passes through at its size.
                value.copy_(torch.randn_like(value) * value[0].numel() ** -0.5)
            elif "bias" in name:
                value.add_(torch.randn_like(value) * 0.05)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn_like(buffer) * 0.05)


def _xlm_roberta(folder: Path) -> str:
    """The text tower's configuration lies in a folder of its own, named as where it is looked for:
    the working directory."""
    from transformers import XLMRobertaConfig

    XLMRobertaConfig(
        vocab_size=vocabularies.SIZE + 64,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=90,
        type_vocab_size=1,
        attn_implementation="eager",
    ).save_pretrained("xlm-roberta-tiny")
    text = {
        "hf_model_name": "xlm-roberta-tiny",
        "hf_pooler_type": "mean_pooler",
        "hf_proj_type": "mlp",
    }
    config = {"embed_dim": 20, "vision_cfg": CLIP_VISION, "text_cfg": text}
    return _open_clip(folder, config, {}, vocabularies.xlm_roberta)


def _transformers(folder: Path, model: Any, processor: Any, vocabulary: Any) -> str:
    folder.mkdir(parents=True)
    model.eval()
    _shake(model)
    vocabulary(folder)
    processor.save_pretrained(folder)
    model.save_pretrained(folder)
    return f"transformers:{folder}"


def _hf_clip(folder: Path) -> str:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    small = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = CLIPConfig(
        text_config={
            **small,
            "hidden_size": 16,
            "vocab_size": 49408,
            "bos_token_id": 49406,
            "eos_token_id": 49407,
        },
        vision_config={**small, "hidden_size": 32, "image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    processor = CLIPImageProcessor(
        size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}
    )
    return _transformers(folder, CLIPModel(config), processor, vocabularies.clip)


def _hf_siglip(folder: Path, vocabulary: Callable[[Path], None]) -> str:
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    small = {
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
    }
    config = SiglipConfig(
        text_config={**small, "vocab_size": vocabularies.SIZE + 64},
        vision_config={**small, "image_size": 48, "patch_size": 16},
    )
    processor = SiglipImageProcessor(size={"height": 48, "width": 48})
    return _transformers(folder, SiglipModel(config), processor, vocabulary)


def _clip(folder: Path, **more: Any) -> str:
    config = {"embed_dim": 24, "vision_cfg": CLIP_VISION, "text_cfg": dict(CLIP_TEXT), **more}
    return _open_clip(folder, config, {})


def _siglip(folder: Path, vocabulary: Callable[[Path], None], **text: Any) -> str:
    config = {
        "embed_dim": 24,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": SIGLIP_VISION,
        "text_cfg": {**SIGLIP_TEXT, **text},
    }
    return _open_clip(folder, config, HALF, vocabulary)


def _mobileclip(folder: Path) -> str:
    vision = {
        "timm_model_name": "fastvit_tiny_reference",
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": None,
        "image_size": 64,
    }
    config = {
        "embed_dim": 24,
        "vision_cfg": vision,
        "text_cfg": {**CLIP_TEXT, "no_causal_mask": True},
        "custom_text": True,
    }
    return _open_clip(folder, config, BARE)


MODELS: dict[str, Callable[[Path], str]] = {
    "open-clip": _clip,
    "open-clip-quickgelu": partial(_clip, quick_gelu=True),
    "open-clip-siglip": partial(_siglip, vocabulary=vocabularies.t5),
    "open-clip-siglip2": partial(
        _siglip, vocabulary=vocabularies.gemma, act_kwargs={"approximate": "tanh"}
    ),
    "open-clip-xlm-roberta": _xlm_roberta,
    "open-clip-mobileclip": _mobileclip,
    "transformers-clip": _hf_clip,
    "transformers-siglip": partial(_hf_siglip, vocabulary=vocabularies.siglip),
    "transformers-siglip2": partial(_hf_siglip, vocabulary=vocabularies.gemma),
}
"""Each makes a model in a new folder and returns the source that `export` takes."""


def make(name: str, folder: Path) -> str:
    """The model of that name in a new folder; the working directory must be one to write in."""
    torch.manual_seed(sum(name.encode()))
    return MODELS[name](folder)


VERSIONS = {"torch": torch.__version__, "timm": timm.__version__}
