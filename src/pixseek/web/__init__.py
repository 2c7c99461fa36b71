"""The web face: an HTTP API over one library, and the page that uses it (extra `web`)."""
