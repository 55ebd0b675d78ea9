"""A local Cloud Storage: the JSON API the real client speaks, generations that are enforced, and faults on demand.

Belongs here: what the service's side of a test needs. ``python -m timegpt_assets_tests.servers.gcs --port N`` serves
until interrupted and prints its URL; point clients at it with STORAGE_EMULATOR_HOST. Objects live in memory.
"""

import argparse
import base64
import hashlib
import itertools
import json
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c

from timegpt_assets_tests.servers.served import Served

PAGE = 1000
NO_BUCKET = "The specified bucket does not exist."
LOST_RACE = "At least one of the pre-conditions you specified did not hold."
_OBJECT = re.compile(
    r"/(?:download/|upload/)?storage/v1/b/([^/]+)/o/([^/]+)(?:/(copyTo|rewriteTo)/b/([^/]+)/o/([^/]+))?"
)
_OBJECTS = re.compile(r"/(?:upload/)?storage/v1/b/([^/]+)/o")
_BUCKET = re.compile(r"/storage/v1/b/([^/]+)")


class Refused(Exception):
    """Raised inside the server for an answer that is not 200: status and message, as the service words them."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do to one request instead of answering it well.

    ``kind``: status (fail with ``status``), stall (wait ``seconds`` before doing anything), cut (send half of the
    body), lost (do it, then close without an answer).
    """

    kind: str
    status: int = 503
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in: read, stat, list, write, copy or delete; the object; bytes sent or received."""

    kind: str
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Partitions:
    """One object at one generation."""

    data: bytes
    generation: int
    content_type: str = "application/octet-stream"

    @property
    def hashes(self) -> tuple[str, str]:
        """Return crc32c and md5, as the service writes them."""
        crc = google_crc32c.value(self.data).to_bytes(4, "big")
        md5 = hashlib.md5(self.data, usedforsecurity=False).digest()
        return base64.b64encode(crc).decode(), base64.b64encode(md5).decode()


@dataclass
class _Session:
    """A resumable upload under way."""

    bucket: str
    name: str
    query: Mapping[str, str]
    metadata: Mapping[str, Any]
    data: bytearray = field(default_factory=bytearray)


class GCSServer(Served):
    """Serves in a thread inside ``with``; ``buckets`` exist from the start.

    ``faults[kind]`` strike requests of that kind one by one; ``pause_s`` is how long every write takes between the
    last byte received and the object being there.
    """

    def __init__(self, *buckets: str, port: int = 0, page: int = PAGE, pause_s: float = 0.0) -> None:
        """Bind the port (0: any)."""
        self.objects: dict[str, dict[str, Partitions]] = {bucket: {} for bucket in buckets}
        self.page, self.pause_s = page, pause_s
        self.requests: list[Request] = []
        self.faults: dict[str, deque[Fault]] = {k: deque() for k in ("read", "stat", "list", "write", "copy", "delete")}
        self.writing = 0
        self.torn = 0
        self.sessions: dict[str, _Session] = {}
        self._generations = itertools.count(1_700_000_000_000_000)
        self.lock = threading.Lock()
        super().__init__(_Handler, port)

    @property
    def counts(self) -> Counter[str]:
        """Return the requests received so far, by kind."""
        with self.lock:
            return Counter(one.kind for one in self.requests)

    def recorded(self) -> Iterable[bytes]:
        """Return every object, with its name."""
        return (name.encode() + one.data for own in self.objects.values() for name, one in own.items())

    def put(self, bucket: str, name: str, data: bytes, *, over: str | None = None) -> Partitions:
        """Store an object as the service does: all of it at once, under a new generation, if ``over`` allows it."""
        with self.lock:
            objects = self.bucket(bucket)
            there = objects[name].generation if name in objects else 0
            if over is not None and int(over) != there:
                raise Refused(412, LOST_RACE)
            objects[name] = Partitions(data, next(self._generations))
            return objects[name]

    def bucket(self, name: str) -> dict[str, Partitions]:
        """Return the bucket's objects. Raises Refused when there is no such bucket."""
        if name not in self.objects:
            raise Refused(404, NO_BUCKET)
        return self.objects[name]

    def found(self, bucket: str, name: str, generation: str | None = None) -> Partitions:
        """Return the object, of that very generation if one is named. Raises Refused when it is not there."""
        one = self.bucket(bucket).get(name)
        if one is None or (generation is not None and int(generation) != one.generation):
            raise Refused(404, f"No such object: {bucket}/{name}")
        return one

    def struck(self, kind: str, name: str, size: int = 0) -> Fault | None:
        """Note the request and return the fault that strikes it, if any; a stall has passed when this returns."""
        with self.lock:
            self.requests.append(Request(kind, name, size))
            fault = self.faults[kind].popleft() if self.faults[kind] else None
        if fault and fault.kind == "stall":
            time.sleep(fault.seconds)
        if fault and fault.kind == "status":
            raise Refused(fault.status, "fault")
        return fault

    @contextmanager
    def write_under_way(self) -> Iterator[None]:
        """Count a write while it is received and stored."""
        with self.lock:
            self.writing += 1
        try:
            yield
        finally:
            with self.lock:
                self.writing -= 1


class _Handler(BaseHTTPRequestHandler):
    owner: GCSServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answered(self._get)

    def do_POST(self) -> None:
        self._answered(self._post)

    def do_PUT(self) -> None:
        self._answered(self._put)

    def do_DELETE(self) -> None:
        self._answered(self._delete)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _answered(self, handle: Any) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        try:
            handle(parts.path, query)
        except Refused as refused:
            error = {"code": refused.status, "message": refused.message, "errors": [{"message": refused.message}]}
            self._send(refused.status, json.dumps({"error": error}).encode())

    def _get(self, path: str, query: Mapping[str, str]) -> None:
        if found := _OBJECT.fullmatch(path):
            bucket, name = found[1], unquote(found[2])
            if query.get("alt") == "media":
                return self._media(bucket, name, query)
            self.owner.struck("stat", name)
            return self._json(_metadata(bucket, name, self.owner.found(bucket, name, query.get("generation"))))
        if found := _OBJECTS.fullmatch(path):
            self.owner.struck("list", query.get("prefix", ""))
            return self._json(self._listed(found[1], query))
        if found := _BUCKET.fullmatch(path):
            self.owner.bucket(found[1])
            return self._json({"kind": "storage#bucket", "name": found[1], "id": found[1]})
        raise Refused(404, "Not Found")

    def _media(self, bucket: str, name: str, query: Mapping[str, str]) -> None:
        one = self.owner.found(bucket, name, query.get("generation"))
        first, last = _asked_range(self.headers.get("Range"), len(one.data))
        body = one.data[first : last + 1]
        fault = self.owner.struck("read", name, len(body))
        crc, md5 = one.hashes
        headers = {
            "Content-Type": one.content_type,
            "X-Goog-Generation": str(one.generation),
            "X-Goog-Hash": f"crc32c={crc},md5={md5}",
            "X-Goog-Stored-Content-Length": str(len(one.data)),
        }
        part = self.headers.get("Range") is not None
        if part:
            headers["Content-Range"] = f"bytes {first}-{last}/{len(one.data)}"
        self._send(206 if part else 200, body, headers, cut=fault is not None and fault.kind == "cut")

    def _listed(self, bucket: str, query: Mapping[str, str]) -> dict[str, Any]:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        names, prefixes = [], set()
        for name in sorted(self.owner.bucket(bucket)):
            rest = name.removeprefix(prefix)
            if name.startswith(prefix) and delimiter and delimiter in rest:
                prefixes.add(prefix + rest[: rest.index(delimiter) + 1])
            elif name.startswith(prefix) and name > query.get("pageToken", ""):
                names.append(name)
        size = min(self.owner.page, int(query.get("maxResults", PAGE)))
        page = names[:size]
        more = {"nextPageToken": page[-1]} if len(names) > size else {}
        items = [_metadata(bucket, name, self.owner.bucket(bucket)[name]) for name in page]
        return {"kind": "storage#objects", "items": items, "prefixes": sorted(prefixes), **more}

    def _post(self, path: str, query: Mapping[str, str]) -> None:
        with self.owner.write_under_way():
            body = self._body()
            if path == "/storage/v1/b":
                name = json.loads(body)["name"]
                self.owner.objects.setdefault(name, {})
                return self._json({"kind": "storage#bucket", "name": name, "id": name})
            if (found := _OBJECT.fullmatch(path)) and found[3]:
                return self._copied(found[1], unquote(found[2]), found[4], unquote(found[5]), query)
            if not (found := _OBJECTS.fullmatch(path)):
                raise Refused(404, "Not Found")
            if query["uploadType"] == "resumable":
                return self._session(found[1], json.loads(body or b"{}"), query)
            metadata, data = _parts(self.headers["Content-Type"], body)
            return self._stored(found[1], query.get("name") or metadata["name"], query, metadata, data)

    def _put(self, path: str, query: Mapping[str, str]) -> None:
        with self.owner.write_under_way():
            body = self._body()
            session = self.owner.sessions[query["upload_id"]]
            session.data += body
            span = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", self.headers["Content-Range"])
            if span and span[3] != "*" and len(session.data) >= int(span[3]):
                return self._stored(session.bucket, session.name, session.query, session.metadata, bytes(session.data))
            return self._send(308, b"", {"Range": f"bytes=0-{len(session.data) - 1}"} if session.data else {})

    def _stored(
        self, bucket: str, name: str, query: Mapping[str, str], metadata: Mapping[str, Any], data: bytes
    ) -> None:
        fault = self.owner.struck("write", name, len(data))
        time.sleep(self.owner.pause_s)
        if (sent := metadata.get("crc32c")) and sent != Partitions(data, 0).hashes[0]:
            raise Refused(400, "The provided CRC32C does not match the data received.")
        one = self.owner.put(bucket, name, data, over=query.get("ifGenerationMatch"))
        if fault and fault.kind == "lost":
            self.close_connection = True
            return
        self._json(_metadata(bucket, name, one))

    def _session(self, bucket: str, metadata: Mapping[str, Any], query: Mapping[str, str]) -> None:
        self.owner.bucket(bucket)
        key = f"session-{len(self.owner.sessions)}"
        self.owner.sessions[key] = _Session(bucket, query.get("name") or metadata["name"], query, metadata)
        where = f"{self.owner.url}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={key}"
        self._send(200, b"", {"Location": where})

    def _copied(self, bucket: str, name: str, to: str, target: str, query: Mapping[str, str]) -> None:
        self.owner.struck("copy", name)
        one = self.owner.found(bucket, name, query.get("sourceGeneration"))
        self._json(_metadata(to, target, self.owner.put(to, target, one.data, over=query.get("ifGenerationMatch"))))

    def _delete(self, path: str, query: Mapping[str, str]) -> None:
        found = _OBJECT.fullmatch(path)
        if not found:
            raise Refused(404, "Not Found")
        name = unquote(found[2])
        self.owner.struck("delete", name)
        with self.owner.lock:
            one = self.owner.found(found[1], name, query.get("generation"))
            if query.get("ifGenerationMatch") not in (None, str(one.generation)):
                raise Refused(412, LOST_RACE)
            del self.owner.bucket(found[1])[name]
        self._send(204, b"")

    def _body(self) -> bytes:
        """Return the whole body; a client that dies on the way leaves nothing but a count."""
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            self.owner.torn += 1
            self.close_connection = True
            raise ConnectionError("the client left in the middle of its body")
        return body

    def _json(self, document: Any) -> None:
        self._send(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None, *, cut: bool = False) -> None:
        """Send the body, or half of it; a client that left is no error."""
        try:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)
        except OSError:
            cut = True
        if cut:
            self.close_connection = True


def _metadata(bucket: str, name: str, one: Partitions) -> dict[str, Any]:
    crc, md5 = one.hashes
    return {
        "kind": "storage#object",
        "bucket": bucket,
        "name": name,
        "generation": str(one.generation),
        "metageneration": "1",
        "size": str(len(one.data)),
        "contentType": one.content_type,
        "crc32c": crc,
        "md5Hash": md5,
        "etag": f"{one.generation}",
    }


def _asked_range(header: str | None, size: int) -> tuple[int, int]:
    """Return the first and last byte asked for. Raises Refused (416) when the object has none of them."""
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", header or "bytes=0-")
    first = int(found[1]) if found else 0
    last = min(size - 1, int(found[2])) if found and found[2] else size - 1
    if first > last and size:
        raise Refused(416, "Requested range not satisfiable")
    return first, last


def _parts(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the metadata and the bytes of a multipart/related upload."""
    boundary = re.search(r'boundary="?([^";]+)"?', content_type)
    if not boundary:
        raise Refused(400, "no boundary")
    edge = b"--" + boundary[1].encode()
    first = body.index(edge) + len(edge) + 2
    second = body.index(b"\r\n" + edge, first)
    last = body.rindex(b"\r\n" + edge + b"--")
    metadata = message_from_bytes(body[first:second]).get_payload()
    head = body.index(b"\r\n\r\n", second + len(edge) + 2)
    return json.loads(str(metadata)), body[head + 4 : last]


def main() -> None:
    """Serve on the port given and print the URL."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--bucket", action="append", default=[])
    arguments.add_argument("--folder", type=Path, help="its files are the first bucket's objects from the start")
    given = arguments.parse_args()
    server = GCSServer(*given.bucket, port=given.port)
    for file in filter(Path.is_file, given.folder.rglob("*") if given.folder else ()):
        server.put(given.bucket[0], file.relative_to(given.folder).as_posix(), file.read_bytes())
    print(server.url, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print(dict(server.counts), flush=True)


if __name__ == "__main__":
    main()
