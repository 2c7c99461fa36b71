"""A progress bar with pictures a second and the time left."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from pixseek.records import Progress

if TYPE_CHECKING:
    from typing import Self

    from tqdm import tqdm


class ProgressBar:
    """Appears on standard error once there is something to do, in terminals only."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet or not sys.stderr.isatty()
        self._bar: tqdm[None] | None = None

    def show(self, progress: Progress) -> None:
        if self._quiet or not progress.total:
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=progress.total, unit=" images", dynamic_ncols=True)
        self._bar.update(progress.done - self._bar.n)
        if progress.skipped:
            self._bar.set_postfix_str(f"{progress.skipped} skipped")

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
