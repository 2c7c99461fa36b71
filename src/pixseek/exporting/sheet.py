"""Hits as a contact sheet: one page that holds its small pictures, to be opened or sent anywhere.

It names files without their folders, runs nothing and fetches nothing.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape

from pixseek.errors import MissingPath, UnreadableImage
from pixseek.exporting.tables import date_of
from pixseek.records import Hit, Skipped

MOST = 500
"""Pictures of one sheet: about 8 MB, which most mail takes."""

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" \
content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff }}
ul {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 1.5em;
  list-style: none; margin: 0; padding: 0 }}
figure {{ margin: 0; break-inside: avoid }}
img, .none {{ display: block; width: 100%; height: 200px; object-fit: contain; background: #eee }}
.none {{ display: grid; place-items: center }}
figcaption {{ overflow-wrap: anywhere; padding-top: .3em }}
small {{ color: #666 }}
</style>
</head>
<body>
<h1 dir="auto">{title}</h1>
<p>{count}</p>
<ul>
{figures}
</ul>
</body>
</html>
"""


@dataclass(slots=True)
class Sheet:
    """A page, and what of the hits is not shown in it."""

    html: str
    shown: int
    """Hits that are in it, also those without their picture."""
    missing: list[Skipped] = field(default_factory=list["Skipped"])
    """Hits whose picture cannot be read now; their names are in the page."""


def contact_sheet(hits: Sequence[Hit], title: str, thumbnail: Callable[[Hit], bytes]) -> Sheet:
    """The first hits, at most MOST, as one page.

    title: what was asked for. thumbnail: a hit's picture as WebP; it may raise MissingPath and
    UnreadableImage.
    """
    shown, missing = hits[:MOST], []
    figures = []
    for hit in shown:
        try:
            data = b64encode(thumbnail(hit)).decode()
            picture = f'<img src="data:image/webp;base64,{data}" alt="{_text(hit.path.name)}">'
        except (MissingPath, UnreadableImage) as error:
            reason = error.reason if isinstance(error, UnreadableImage) else "it is not there"
            missing.append(Skipped(hit.path, reason))
            picture = '<div class="none">cannot be read now</div>'
        figures.append(_figure(hit, picture))
    day = datetime.now().astimezone().date().isoformat()
    of = "" if len(shown) == len(hits) else f" of {len(hits):,}"
    count = f"{len(shown):,}{of} picture{'' if len(hits) == 1 else 's'}, {day}"
    html = _PAGE.format(title=_text(title), count=count, figures="\n".join(figures))
    return Sheet(html, len(shown), missing)


def _figure(hit: Hit, picture: str) -> str:
    moment = "" if hit.moment is None else f"at {int(hit.moment) // 60}:{int(hit.moment) % 60:02}"
    page = "" if hit.page is None else f"page {hit.page}"
    match = "" if hit.match is None else f"match {hit.match:.2f}"
    alike = f"+{hit.similar} alike" if hit.similar else ""
    score = f"score {hit.score:.3f}"
    said = ", ".join(filter(None, (moment, page, date_of(hit.metadata), match, score, alike)))
    name = _text(hit.path.name)
    caption = f"<bdi>{name}</bdi><br><small>{_text(said)}</small>"
    return f"<li><figure>{picture}<figcaption>{caption}</figcaption></figure></li>"


def _text(text: str) -> str:
    """As it can stand in a page: names may have any character, also half of one."""
    return escape("".join(c if c.isprintable() else "\ufffd" for c in text))
