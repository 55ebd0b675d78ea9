"""A local mail server: it takes mails, keeps them, and refuses on demand.

Belongs here: as much of SMTP as a client of ours says, in the clear, by STARTTLS or inside TLS, and the certificate
that its other side must believe. No password is ever kept.
"""

import base64
import ipaddress
import socketserver
import ssl
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from timegpt_assets_tests.secret_search import MARK


class MailServer:
    """Serves in a thread inside ``with``; ``mails`` keeps what was sent, ``refused`` lists recipients nobody has.

    ``in_the_clear`` lists the words that came before anybody could hide them.
    """

    def __init__(
        self, *, password: str = "", certificate: Path | None = None, security: Literal["starttls", "tls"] = "starttls"
    ) -> None:
        """Bind any port; where there is a password, who does not log in with it is refused.

        With a ``certificate`` (its key in the same file) TLS is spoken: from the first byte, or once it is asked for.
        """
        self.password, self.security = password, security
        self.tls: ssl.SSLContext | None = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate)
        self.in_the_clear: list[str] = []
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


def certificate(file: Path, *, address: str = "127.0.0.1") -> Path:
    """Write a certificate of one's own for an address, with its key, and return the file; it holds for an hour."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a mail server of the tests")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    unlocked = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, unlocked)
    file.write_bytes(private + made.public_bytes(pem))
    return file


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class _Handler(socketserver.StreamRequestHandler):
    owner: MailServer

    def handle(self) -> None:
        """Answer one client until it leaves, or until it does not believe us."""
        self.is_hidden = False
        try:
            self._heard()
        except (ssl.SSLError, ConnectionError):
            return
        finally:
            self.request.close()

    def _heard(self) -> None:
        if self.owner.tls and self.owner.security == "tls":
            self._hide(self.owner.tls)
        self._say("220 local")
        self.is_known = not self.owner.password
        while line := self.rfile.readline().decode().strip():
            word = line.partition(" ")[0].upper()
            if not self.is_hidden:
                self.owner.in_the_clear.append(word)
            if word == "STARTTLS" and self.owner.tls:
                self._say("220 go ahead")
                self._hide(self.owner.tls)
            elif word == "DATA":
                self._say("354 go on")
                self._keep()
            elif word == "QUIT":
                self._say("221 bye")
                break
            else:
                self._answer(word, line)

    def _hide(self, tls: ssl.SSLContext) -> None:
        """Speak TLS from here on."""
        self.finish()
        self.request = tls.wrap_socket(self.request, server_side=True)
        self.setup()
        self.is_hidden = True

    def _answer(self, word: str, line: str) -> None:
        if word == "EHLO":
            self._say("250-local")
            if self.owner.tls and not self.is_hidden:
                self._say("250-STARTTLS")
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
