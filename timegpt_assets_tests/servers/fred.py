"""A local FRED: vintages and release dates as the service answers them, with its silences, and faults on demand.

Belongs here: what the service's side of a test needs. It passes over parameters it does not know, as FRED does, clips
vintages to the window that is asked about, and refuses in FRED's words. No key is ever kept.
"""

import json
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from timegpt_assets_tests.servers.served import Served

FIXTURES = Path(__file__).parents[1] / "fixtures" / "fred"
VINTAGES, PAGE = 2000, 1000
UNKNOWN = "Bad Request.  The series does not exist."
Release = tuple[int, str, str]


def recorded(name: str) -> bytes:
    """Return a recorded body."""
    return (FIXTURES / f"{name}.json").read_bytes()


def gdp() -> list[dict[str, str]]:
    """Return the recorded vintages of GDP."""
    found: list[dict[str, str]] = json.loads(recorded("gdp_all_vintages_cut"))["observations"]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What to do to one request instead of answering it well.

    ``kind``: status (answer ``status`` with ``body``), html, empty, truncated, escape (an escape that JSON does not
    know), today (answered as if no day had been asked about), ahead (a value of tomorrow), initial (output_type 4),
    slow (after ``seconds``), cut (close without an answer).
    """

    kind: str
    status: int = 500
    body: bytes = b""
    seconds: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()


def observations(
    series: Mapping[str, Sequence[Mapping[str, str]]], asked: Mapping[str, str], *, today: str
) -> tuple[int, dict[str, Any]]:
    """Return status and body of vintages: those of the window asked about, clipped to it."""
    rows = series.get(asked.get("series_id", ""))
    if rows is None:
        return 400, {"error_code": 400, "error_message": UNKNOWN}
    begin, end = asked.get("realtime_start", today), asked.get("realtime_end", today)
    since, kind = asked.get("observation_start", "1600-01-01"), int(asked.get("output_type", 1))
    if len({r["realtime_start"] for r in rows if begin <= r["realtime_start"] <= end}) > VINTAGES:
        return 400, json.loads(recorded("quoted_400_vintage_cap"))
    found = [
        dict(r) | {"realtime_start": max(r["realtime_start"], begin), "realtime_end": min(r["realtime_end"], end)}
        for r in rows
        if r["date"] >= since and r["realtime_start"] <= end and r["realtime_end"] >= begin
    ]
    if kind == 4:
        found = list({r["date"]: r for r in reversed(found)}.values())[::-1]
    said = {"realtime_start": begin, "realtime_end": end, "observation_start": since, "units": "lin"}
    return 200, said | {"output_type": kind, "count": len(found), "offset": 0, "observations": found}


def release_dates(releases: Sequence[Release], asked: Mapping[str, str], *, today: str) -> tuple[int, dict[str, Any]]:
    """Return status and body of one page of release dates."""
    begin, end = asked.get("realtime_start", today[:5] + "01-01"), asked.get("realtime_end", "9999-12-31")
    rows = sorted((day, number, name) for number, name, day in releases if begin <= day <= end)
    offset, limit = int(asked.get("offset", 0)), min(PAGE, int(asked.get("limit", PAGE)))
    page = [{"release_id": n, "release_name": name, "date": day} for day, n, name in rows[offset : offset + limit]]
    said = {"realtime_start": begin, "realtime_end": end, "count": len(rows), "offset": offset, "limit": limit}
    return 200, said | {"release_dates": page}


class FredServer(Served):
    """Serves in a thread inside ``with``: ``series`` id -> its vintages, ``releases`` (id, name, date).

    ``received`` keeps paths and parameters without the key; ``faults`` strike requests one by one (None: none).
    """

    def __init__(
        self,
        series: Mapping[str, Sequence[Mapping[str, str]]],
        releases: Sequence[Release] = (),
        *,
        key: str,
        today: str = "2025-01-20",
        port: int = 0,
    ) -> None:
        """Bind the port (0: any)."""
        self.series, self.releases, self.key, self.today = series, releases, key, today
        self.received: list[tuple[str, dict[str, str]]] = []
        self.faults: deque[Fault | None] = deque()
        super().__init__(_Handler, port)

    def recorded(self) -> Iterable[bytes]:
        """Return every request as it was kept."""
        return (f"{path}?{urlencode(parameters)}".encode() for path, parameters in list(self.received))

    def refusal(self, key: str | None) -> bytes | None:
        """Return what is said of a wrong key, None of the right one."""
        return None if key == self.key else recorded("quoted_400_api_key_not_registered")


class _Handler(BaseHTTPRequestHandler):
    owner: FredServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = dict(parse_qsl(parts.query))
        key = asked.pop("api_key", None)
        self.owner.received.append((parts.path.removeprefix("/fred/"), asked))
        fault = self.owner.faults.popleft() if self.owner.faults else None
        if refusal := self.owner.refusal(key):
            return self._send(400, refusal)
        if fault and fault.kind == "today":
            asked = {n: v for n, v in asked.items() if not n.startswith("realtime")}
        if fault and fault.kind == "initial":
            asked["output_type"] = "4"
        if asked.get("file_type") != "json" or parts.path not in ("/fred/series/observations", "/fred/releases/dates"):
            return self._send(404, b"<html><body>Not Found</body></html>")
        owner, today = self.owner, self.owner.today
        status, said = (
            observations(owner.series, asked, today=today)
            if parts.path.endswith("observations")
            else release_dates(owner.releases, asked, today=today)
        )
        return self._struck(fault, status, said) if fault else self._send(status, json.dumps(said).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _struck(self, fault: Fault, status: int, said: dict[str, Any]) -> None:
        if fault.kind == "ahead":
            newest = {"realtime_start": "2099-01-01", "realtime_end": "9999-12-31", "date": "2098-10-01", "value": "1"}
            said["observations"] = [*said["observations"], newest]
            said["count"] += 1
        good = json.dumps(said).encode()
        match fault.kind:
            case "status":
                self._send(fault.status, fault.body, dict(fault.headers))
            case "html":
                self._send(200, b"<!DOCTYPE html><html><body>FRED is being maintained.</body></html>")
            case "empty":
                self._send(200, b"")
            case "truncated":
                self._send(200, good[:-40])
            case "escape":
                self._send(200, good.replace(b'"lin"', b'"l\\in"'))
            case "cut":
                self.close_connection = True
            case _:
                time.sleep(fault.seconds)
                self._send(status, good)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": f"{len(body)}", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
