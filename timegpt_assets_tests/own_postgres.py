"""A PostgreSQL of the test's own, which can be stopped and started: that of the other tests is everybody's."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

INITDB, PG_CTL = shutil.which("initdb"), shutil.which("pg_ctl")


class Cluster:
    """A cluster in a folder, on a port of this machine, run by an account that may."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        # PostgreSQL refuses to be run by root
        self.account = "postgres" if os.getuid() == 0 else getpass.getuser()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if os.getuid() == 0:
            shutil.chown(folder, self.account)
        self._do(str(INITDB), "--auth=trust", "--username=postgres", "--no-sync", f"--pgdata={self.data}")
        self.start()

    def start(self) -> None:
        told = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._do(str(PG_CTL), "start", "-w", "-D", str(self.data), "-l", str(self.folder / "log"), "-o", told)

    def crash(self) -> None:
        """End it as a machine that loses its power: connections break, what was committed is recovered."""
        self._do(str(PG_CTL), "stop", "-m", "immediate", "-D", str(self.data))

    def database(self, name: str) -> str:
        """Make a database and return its address."""
        engine = sa.create_engine(f"{self._url}/postgres", poolclass=sa.pool.NullPool)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text(f"create database {name}"))
        return f"{self._url}/{name}"

    @property
    def _url(self) -> str:
        return f"postgresql+psycopg2://postgres@127.0.0.1:{self.port}"

    def _do(self, *words: str) -> None:
        subprocess.run(
            words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder, user=self.account
        )


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Yield a running cluster; not below pytest's folders, which another account may not enter."""
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        made = Cluster(Path(folder))
        try:
            yield made
        finally:
            made.crash()
