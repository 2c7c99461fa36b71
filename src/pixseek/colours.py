"""Colours as the file's profile means them → sRGB, which is what models are trained on.

By LittleCMS, which Pillow carries; perceptual intent, as viewers show pictures. A picture without a
profile is sRGB by convention.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

from PIL import Image, ImageCms

PROFILES_KEPT = 64
"""Profiles whose conversion is kept: the pictures of a camera share one, and making it takes longer
than using it on a reduced picture."""


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB, CMYK or LAB → RGB. A profile that is damaged, or of other colours, is passed over."""
    change = None
    if profile or image.mode == "LAB":
        change = _conversion(profile or b"", image.mode)
    if change is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    return change.apply(image)


@lru_cache(PROFILES_KEPT)
def _conversion(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """None where there is nothing to convert, or it cannot be."""
    try:
        if profile:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            if "srgb" in ImageCms.getProfileDescription(source).lower():
                return None
        else:
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        target = ImageCms.createProfile("sRGB")
        return ImageCms.ImageCmsTransform(source, ImageCms.ImageCmsProfile(target), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return _conversion(b"", mode) if profile and mode == "LAB" else None
