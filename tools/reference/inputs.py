"""What the references were asked: by the script that made the answers, and by the tests."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "tests" / "reference"
MODELS = FOLDER / "models.tar.xz"
PARITY = FOLDER / "parity.json"

PICTURES = (
    ("photo-01.jpg", None),
    ("photo-03.jpg", None),
    ("photo-05.jpg", None),
    ("photo-06.jpg", None),
    ("photo-12.jpg", None),
    ("photo-29.jpg", None),
    ("photo-02.jpg", (300, 47)),
    ("photo-09.jpg", (31, 300)),
    ("photo-16.jpg", (20, 19)),
    ("photo-23.jpg", (500, 33)),
)
"""Sample photos, some cut to (width, height) from their upper left corner."""

TEXTS = (
    "a photo of a cat",
    "A Photo of TWO dogs, on a beach at sunset!",
    "",
    " \t\n ",
    "first line\r\nsecond line",
    "it's they're we've I'll 1234 3.14 100%",
    "snake_case-and-dashes/slashes (brackets) [more] {curly} #tag @home",
    "fish &amp; chips &lt;3 &amp;quot;twice&amp;quot; caf&eacute;",
    "“curly” ‘quotes’ – and — dashes… ",
    "âœ” wrongly decoded, schÃ¶n",
    "ﬁne ligatures, ｆｕｌｌ ｗｉｄｔｈ, e\u0301 combining, ½ ① ™",
    "İstanbul straße ΑΣ ǅ",
    "Ünïcödé: «güzel», 20 €, £5",
    "一只猫在树上",
    "ねこが木の上にいる、カタカナ",
    "قطة على الشجرة",
    "кошка на дереве",
    "बिल्ली पेड़ पर है",
    "👩🏽‍🚀🏳️‍🌈 party 🎉🎉",
    "a\u200bb\u00a0c\u2003d\ufeffe",
    "one very long text that is cut off somewhere near here " * 12,
    "x" * 400,
)


def pictures() -> list[Image.Image]:
    """RGB, in the order of PICTURES."""
    made = []
    for name, size in PICTURES:
        image = Image.open(ROOT / "samples" / name).convert("RGB")
        made.append(image if size is None else image.crop((0, 0, *size)))
    return made
