"""An extra that is not installed, for this process and for those that decode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pixseek import formats, isolation


@contextmanager
def missing(module: str, folder: Path, error: str = "") -> Iterator[None]:
    """Importing the module fails while this is entered; with `error` as one that is broken does."""
    raised = f"ImportError({error!r})" if error else f"ModuleNotFoundError(name={module!r})"
    folder.mkdir()
    (folder / f"{module}.py").write_text(f"raise {raised}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setattr(formats, "_is_here", lambda _: bool(error))
        isolation.end_children()
        yield
    isolation.end_children()
