"""Progress bars: of pictures, with pictures a second and the time left, and of a model's files."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from pixseek.records import Fetch, Progress

if TYPE_CHECKING:
    from typing import Self

    from tqdm import tqdm


class Bar:
    """Appears on standard error once there is something to do, in terminals only."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet or not sys.stderr.isatty()
        self._bar: tqdm[None] | None = None

    def _move(self, done: int, total: int, **words: object) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=total, dynamic_ncols=True, **words)
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()


class ProgressBar(Bar):
    """Of pictures that are indexed."""

    def show(self, progress: Progress) -> None:
        if self._quiet or not progress.total:
            return
        self._move(progress.done, progress.total, unit=" images")
        if progress.skipped and self._bar is not None:
            self._bar.set_postfix_str(f"{progress.skipped} skipped")


class FetchBar(Bar):
    """Of a model's files; what is fetched, and from where, is said in any case."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        self._said = ""

    def show(self, fetch: Fetch) -> None:
        said = f"fetching {fetch.model} ({fetch.total / 1e6:,.0f} MB) from {fetch.repository}"
        said += f" at {fetch.server}"
        if not fetch.total:
            said = f"waiting for another process that is fetching {fetch.model}"
        if said != self._said:
            self._said = said
            print(f"pixseek: {said}", file=sys.stderr)
        if fetch.total and not self._quiet:
            self._move(fetch.done, fetch.total, unit="B", unit_scale=True, leave=False)
