"""The audit of what is installed says what is known, and never passes for one when nobody could be asked.

pip-audit is the real one; a local server stands for the feed of vulnerabilities.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from timegpt_assets_tests import audit
from timegpt_assets_tests.audit import audited

HASH = "0" * 64
KNOWN = {
    "id": "PYSEC-2099-1",
    "aliases": ["CVE-2099-1"],
    "summary": "it does what it should not",
    "affected": [
        {
            "package": {"name": "dagster", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}],
        }
    ],
}


class Feed(BaseHTTPRequestHandler):
    """Knows of one vulnerability, in dagster."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"vulns": [KNOWN]} if asked["package"]["name"] == "dagster" else {}).encode()
        status = 500 if self.path == "/ill" else 200
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture(scope="module")
def feed() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Feed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    file = tmp_path / "requirements.lock"
    file.write_text(f"dagster==1.13.27 --hash=sha256:{HASH}\npolars==2.1.0 --hash=sha256:{HASH}\n")
    return file


def test_what_is_known_of_a_package_fails_with_the_version_that_mends_it(feed: str, lock: Path) -> None:
    code, said = audited([lock], feed, insists=False)
    assert code == 1
    assert said.startswith("dagster 1.13.27: PYSEC-2099-1, mended in 99.0\n")
    assert said.endswith("or write why not into tool.audit.")


@pytest.mark.parametrize("name", ["PYSEC-2099-1", "CVE-2099-1"])
def test_what_is_accepted_with_a_reason_passes_and_is_said(
    feed: str, lock: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "accepted", lambda: {name: "the part is not used"})
    code, said = audited([lock], feed, insists=True)
    assert code == 0
    assert "of 2 packages but what tool.audit accepts: " in said
    assert name in said


def test_nothing_known_is_said_with_how_many_were_asked_about(feed: str, tmp_path: Path) -> None:
    file = tmp_path / "requirements.lock"
    file.write_text(f"polars==2.1.0 --hash=sha256:{HASH}\n")
    assert audited([file], feed, insists=True) == (0, "audited: nothing is known of 1 packages")


@pytest.mark.parametrize("insists", [False, True])
@pytest.mark.parametrize("place", ["http://127.0.0.1:9/v1/query", "ill"])
def test_a_feed_that_cannot_be_asked_is_said_and_fails_where_somebody_insists(
    feed: str, lock: Path, place: str, insists: bool
) -> None:
    code, said = audited([lock], place if "://" in place else f"{feed}/{place}", insists=insists)
    assert code == int(insists)
    assert said.startswith("NOT AUDITED: http://127.0.0.1:")
    assert said.endswith("AUDIT=required has this fail.")


def test_every_accepted_one_says_why() -> None:
    assert all(len(why) > 10 for why in audit.accepted().values())
