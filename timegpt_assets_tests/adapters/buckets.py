"""A local Cloud Storage with one bucket for a test, and places in it, opened by the real client.

Belongs here: the fixtures that adapters/conftest.py hands out. The server itself is servers/gcs.py.
"""

import gc
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from timegpt_assets.adapters.storage.gcs import GcsStore
from timegpt_assets_tests.servers.gcs import GCSServer

BUCKET = "bars-of-ours"
Opened = Callable[..., GcsStore]


@contextmanager
def closing(client: storage.Client) -> Iterator[storage.Client]:
    """Give the client, and leave no socket of it behind for the garbage collector to warn of in another's test.

    The library asks for the bucket's metadata in a thread, which may make a second session or outlive the first, and
    drops the sockets of answers that failed.
    """
    client._http  # noqa: B018  made here, once: threads that make it at the same time lose all but one, open
    yield client
    for thread in threading.enumerate():
        if thread.name.endswith("_background)"):
            thread.join()
    client.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def server() -> Iterator[GCSServer]:
    """Yield a local Cloud Storage with one bucket and pages of two names."""
    with GCSServer(BUCKET, page=2) as running:
        yield running


@pytest.fixture
def bucket(server: GCSServer) -> Iterator[Opened]:
    """Yield what opens a place in the server's bucket by the real client, with little patience; closes the clients."""
    with ExitStack() as clients:

        def opened(
            *, name: str = BUCKET, prefix: str = "tables", deadline_s: float = 5.0, contention_s: float = 20.0
        ) -> GcsStore:
            options = {"api_endpoint": server.url}
            made = storage.Client(project="test", credentials=AnonymousCredentials(), client_options=options)
            client = clients.enter_context(closing(made))
            return GcsStore(
                lambda: client, name, prefix, timeout_s=1.0, deadline_s=deadline_s, contention_s=contention_s
            )

        yield opened
