"""Commits and checksums of models that are known before anything is asked of the hub.

Each was read in the source of a public project that pins it, most in two that do not copy each
other; none was taken from the hub itself. A model that is not here is at `main`, and is checked
against what the hub says.
"""

from __future__ import annotations

_CLIP_TOKENIZER = "6d9109cc838977f3ca94a379eec36aecc7c807e1785cd729660ca2fc0171fb35"
_SIGLIP2_TOKENIZER = "220c63d496e0c14e63eb656c91e0215e926202e4c74b1f089e09f1920d779b04"

PINS: dict[str, tuple[str, dict[str, str]]] = {
    "clip-vit-b-32": (
        "a857c8de2c07bbcfa6646adfcf31b798845afa1e",
        {
            "visual/model.onnx": "33a3df41ceef21acdf371af00f6dd0456ec1f9eba24d03a7720f9c3734e40859",
            "textual/model.onnx": (
                "b80cf0af751533a6712d92247f0ddc0c95208748bc59a1a27f33e67be6864e3b"
            ),
            "textual/tokenizer.json": _CLIP_TOKENIZER,
        },
    ),
    "clip-vit-l-14": (
        "9b27c6b49d2ff4957fa0b5a25521eee12f109543",
        {
            "visual/model.onnx": "2b02d572f59c509f4b97b9c54a868453cca1a652cd5d60e1d51d0052f055cb8c",
            "textual/model.onnx": (
                "9fbe72ea8d36c2effaccedcf7249e3729ad0d9b4af6604b433ecdd0105663c9c"
            ),
            "textual/tokenizer.json": _CLIP_TOKENIZER,
        },
    ),
    "openclip-vit-b-32": (
        "19a057a0fb927cf239541300e74237cd56c7ffe2",
        {
            "visual/model.onnx": "b9ce24b91a8c62ef8d40ea786051709c93140104cbf2b6b4a2cc270df3838f9c",
            "textual/model.onnx": (
                "48c25be37b352398f2533c9426dab6f9340535e14e46f884cc894236a5060722"
            ),
        },
    ),
    "siglip2-b-32": (
        "762c736d366fc253e9453021144f9fe71789b075",
        {
            "visual/model.onnx": "e96b8a3d32ab1b683aa12c45312342b4a10d4befef5f195f5cf84eadf1938696",
            "textual/model.onnx": (
                "ba6e09d2dbb3d7ac0f9e2935676db92dceebddfd06c1462b67019caa90eeea20"
            ),
            "textual/tokenizer.json": _SIGLIP2_TOKENIZER,
        },
    ),
    "siglip2-b-16": (
        "main",
        {
            "visual/model.onnx": "fee10c729875dd203d94f396ac3d664e301d39c977ef6d92e7f467a2a716f0b0",
            "textual/model.onnx": (
                "fc9991b415d7d0fac7ed540e875fd08a647c8a1abba99f12542531b004c4b68f"
            ),
            "textual/tokenizer.json": _SIGLIP2_TOKENIZER,
        },
    ),
    "mobileclip-s0": (
        "757d59c9c6870a76a4b0306f05f5061bca15c39f",
        {
            "onnx/vision_model.onnx": (
                "17d3c037b1d488c10c50e09f6009ea5a198caef4e0e8f4ea5617b7cb2d067ac0"
            ),
            "onnx/text_model.onnx": (
                "f6e9bd5742bfc515889e901634d8a2ff2a57fab8564e4ad3760e800b1a51b77c"
            ),
            "tokenizer.json": "72ed5c96db5729294468543e4bc75fce14ca63f58e37300290189ba1c1e52b85",
        },
    ),
}
"""name → (revision, {path: sha256})"""
