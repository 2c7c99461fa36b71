"""Trying again what may succeed a moment later, a bounded number of times."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

TRIES = 3
FIRST_PAUSE_S = 0.2

_T = TypeVar("_T")


def retried(
    call: Callable[[], _T],
    *,
    transient: tuple[type[Exception], ...] | Callable[[Exception], bool],
) -> _T:
    """What the call gives, at the latest at the third try; raises what the last one raised.

    transient: the errors that are worth another try. Each pause is twice the one before, and up
    to half as long again, so that those who failed together do not come back together.
    """
    pause = FIRST_PAUSE_S
    for _ in range(TRIES - 1):
        try:
            return call()
        except Exception as error:
            known = (
                isinstance(error, transient) if isinstance(transient, tuple) else transient(error)
            )
            if known:
                time.sleep(pause * random.uniform(1, 1.5))
                pause *= 2
                continue
            raise
    return call()
