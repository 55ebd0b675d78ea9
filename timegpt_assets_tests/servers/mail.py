"""A local mail server: it takes mails, keeps them, and refuses on demand.

Belongs here: as much of SMTP as a client of ours says, without TLS. No password is ever kept.
"""

import base64
import socketserver
import threading
from collections.abc import Iterable
from email import message_from_bytes
from email.message import Message
from types import TracebackType
from typing import Self

from timegpt_assets_tests.secret_search import MARK


class MailServer:
    """Serves in a thread inside ``with``; ``mails`` keeps what was sent, ``refused`` lists recipients nobody has."""

    def __init__(self, *, password: str = "") -> None:
        """Bind any port; where there is a password, who does not log in with it is refused."""
        self.password = password
        self.mails: list[Message] = []
        self.refused: set[str] = set()
        self._server = _Tcp(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        """Start serving."""
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving. Raises AssertionError when a password was kept with what was received."""
        self._server.shutdown()
        self._server.server_close()
        if kind is None:
            assert not any(MARK.encode() in said for said in self.recorded()), "a mail holds a password"

    def recorded(self) -> Iterable[bytes]:
        """Return every mail as it was kept."""
        return (mail.as_bytes() for mail in self.mails)


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class _Handler(socketserver.StreamRequestHandler):
    owner: MailServer

    def handle(self) -> None:
        """Answer one client until it leaves."""
        self._say("220 local")
        self.is_known = not self.owner.password
        while line := self.rfile.readline().decode().strip():
            word = line.partition(" ")[0].upper()
            if word == "DATA":
                self._say("354 go on")
                self._keep()
            elif word == "QUIT":
                self._say("221 bye")
                break
            else:
                self._answer(word, line)

    def _answer(self, word: str, line: str) -> None:
        if word == "EHLO":
            self._say("250-local")
            return self._say("250 AUTH PLAIN")
        if word == "AUTH":
            said = base64.b64decode(line.rpartition(" ")[2]).split(b"\0")[-1].decode()
            self.is_known = said == self.owner.password
            return self._say("235 welcome" if self.is_known else f"535 {said} is not it")
        if word == "MAIL" and not self.is_known:
            return self._say("530 log in first")
        unknown = word == "RCPT" and any(f"<{name}>" in line for name in self.owner.refused)
        return self._say("550 nobody has that name" if unknown else "250 ok")

    def _keep(self) -> None:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line)
        self.owner.mails.append(message_from_bytes(b"".join(lines)))
        self._say("250 kept")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())
