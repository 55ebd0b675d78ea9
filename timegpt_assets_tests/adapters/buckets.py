"""A local Cloud Storage with one bucket for a test, and places in it, opened by the real client.

Belongs here: the fixtures that adapters/conftest.py hands out. The server itself is servers/gcs.py.
"""

from collections.abc import Callable, Iterator

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from timegpt_assets.adapters.bucket import Bucket
from timegpt_assets_tests.servers.gcs import GCSServer

BUCKET = "bars-of-ours"
Opened = Callable[..., Bucket]


@pytest.fixture
def server() -> Iterator[GCSServer]:
    """Yield a local Cloud Storage with one bucket and pages of two names."""
    with GCSServer(BUCKET, page=2) as running:
        yield running


@pytest.fixture
def bucket(server: GCSServer) -> Iterator[Opened]:
    """Yield what opens a place in the server's bucket by the real client, with little patience; closes the clients."""
    clients = []

    def opened(
        *, name: str = BUCKET, prefix: str = "tables", deadline_s: float = 5.0, contention_s: float = 20.0
    ) -> Bucket:
        options = {"api_endpoint": server.url}
        client = storage.Client(project="test", credentials=AnonymousCredentials(), client_options=options)
        clients.append(client)
        return Bucket(lambda: client, name, prefix, timeout_s=1.0, deadline_s=deadline_s, contention_s=contention_s)

    yield opened
    for client in clients:
        client.close()
