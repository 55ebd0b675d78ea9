"""What the real webserver does behind the check: its own pages and scripts work, a stranger's page changes nothing.

Guards against a way in that is added later, a route of Dagster's or a content type, without this check having a say.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import httpx
import pytest

from timegpt_assets.cli.same_origin import SameOrigin
from timegpt_assets_tests.cli.test_ui import UI, webserver

SEEN, ASK = "mutation { setNuxSeen }", "{ shouldShowNux }"
"""A mutation that leaves a trace, and the question whether it did."""
NAME = "desk.example"


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UI]:
    """Yield the UI of an empty workspace."""
    home = tmp_path_factory.mktemp("home")
    (home / "workspace.yaml").write_text("load_from: []\n")
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DAGSTER_HOME", str(home))
        with webserver(home / "log", workspace=home / "workspace.yaml") as running:
            yield running


def seen(ui: UI) -> bool:
    """Return whether the mutation was done."""
    return not ui.asked(ASK)["shouldShowNux"]


JSON = {"content-type": "application/json"}
BODY = '{"query": "mutation { setNuxSeen }"}'
STRANGERS: dict[str, dict[str, Any]] = {
    "a link or a picture": {"method": "GET", "params": {"query": SEEN}},
    "a link with a trailing slash": {"method": "GET", "path": "/graphql/", "params": {"query": SEEN}},
    "a form": {"params": {"query": SEEN}, "headers": {"content-type": "application/x-www-form-urlencoded"}},
    "text": {"content": BODY, "headers": {"content-type": "text/plain"}},
    "text that mentions JSON": {"content": BODY, "headers": {"content-type": "text/plain; application/json"}},
    "no content type": {"params": {"query": SEEN}},
    "another site's script": {"content": BODY, "headers": JSON | {"origin": "https://evil.example"}},
    "a sandboxed frame": {"content": BODY, "headers": JSON | {"origin": "null"}},
    "another port of this machine": {"content": BODY, "headers": JSON | {"origin": "http://127.0.0.1:8000"}},
    "a name that resolves to loopback": {"content": BODY, "headers": JSON | {"host": "evil.example"}},
    "a name that begins like loopback": {"content": BODY, "headers": JSON | {"host": "127.0.0.1.evil.example"}},
    "a name before an @": {"content": BODY, "headers": JSON | {"host": "127.0.0.1@evil.example"}},
    "a name beside its origin": {
        "content": BODY,
        "headers": JSON | {"host": "evil.example", "origin": "http://evil.example"},
    },
    "a report of a materialisation": {"path": "/report_asset_materialization/a", "params": {"partition": "x"}},
}


@pytest.mark.parametrize("way", STRANGERS)
def test_a_stranger_s_page_is_refused_and_changes_nothing(ui: UI, way: str) -> None:
    asking = {"method": "POST", "path": "/graphql", **STRANGERS[way]}
    reply = httpx.request(asking.pop("method"), f"{ui.url}{asking.pop('path')}", timeout=30, **asking)
    assert reply.status_code == 403, reply.text
    assert reply.text.strip().endswith(".")
    assert not seen(ui)


def test_its_own_pages_a_forwarded_port_and_scripts_are_let_in(ui: UI) -> None:
    assert httpx.get(ui.url, timeout=30).status_code == 200
    assert "GraphiQL" in httpx.get(f"{ui.url}/graphql", headers={"accept": "text/html"}, timeout=30).text
    for host in ("127.0.0.1:9000", "localhost:9000", "[::1]:9000"):
        headers = JSON | {"host": host, "origin": f"http://{host}"}
        reply = httpx.post(f"{ui.url}/graphql", content='{"query": "{ version }"}', headers=headers, timeout=30)
        assert reply.json() == {"data": {"version": dg.__version__}}


def test_a_foreign_page_opens_no_socket() -> None:
    app = SameOrigin(lambda scope, receive, send: pytest.fail("let in"))
    own = {"type": "websocket", "path": "/graphql", "headers": [(b"host", b"localhost:3000")]}
    assert app.refused(own | {"headers": [*own["headers"], (b"origin", b"http://localhost:3000")]}) == ""
    assert "is another site" in app.refused(own | {"headers": [*own["headers"], (b"origin", b"http://evil.example")]})


def test_a_name_that_was_given_is_a_name_of_this_server() -> None:
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", f"{NAME.upper()}:3000".encode())]}
    assert SameOrigin(lambda scope, receive, send: pytest.fail("let in"), (NAME,)).refused(scope) == ""
    assert "--host NAME" in SameOrigin(lambda scope, receive, send: pytest.fail("let in")).refused(scope)
