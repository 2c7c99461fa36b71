"""Where the API is: what every address of it begins with, the version in it."""

from __future__ import annotations

PREFIX = "/api/v1"
