"""Requests to a contest's site: JSON in and out, files streamed, errors as sentences."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from flyai_local.errors import UserError
from protocol.language import language, tr

__all__ = ["RefusedError", "Site", "UnreachableError"]

CHUNK = 2**16
LARGEST_ANSWER = 32 * 2**20


class UnreachableError(UserError):
    """No answer from the site; asking again later may help."""


class RefusedError(UserError):
    """The site answered that it will not; `status` is that of HTTP."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Site:
    """A site and the word that opens it.

    Args:
        url: https://HOST, with a port and a path where there are any.
        token: a personal token or a worker's, "" for none.
        seconds: how long to wait for each answer.
    """

    url: str
    token: str = ""
    seconds: float = 30.0

    def ask(self, method: str, path: str, value: Any = None, raw: bytes | None = None) -> Any:
        """The JSON that the site answers; None for an answer without a body.

        Raises:
            RefusedError: the site says no, with its sentence.
            UnreachableError: no site there, or it broke off.
        """
        body = raw if raw is not None else json.dumps(value).encode() if value is not None else b""
        return self._exchange(method, path, body, {"Content-Length": str(len(body))}, _json)

    def send(self, path: str, file: Path, label: str = "") -> Any:
        """Send a file as it is, piece by piece; returns the JSON that is answered."""
        with file.open("rb") as source:
            sha256 = hashlib.file_digest(source, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else ""
            source.seek(0)
            headers = {"Content-Length": str(file.stat().st_size), "Content-Type": "application/octet-stream"}
            headers |= {"X-SHA256": sha256} if sha256 else {}
            headers |= {"X-Label": quote(label)} if label else {}
            return self._exchange("POST", path, source, headers, _json)

    def fetch(self, path: str, target: Path, sha256: str) -> None:
        """Fetch a file whose hash is known; it is there whole or not at all."""
        unfinished = target.with_name(f".{target.name}.part")

        def keep(response: http.client.HTTPResponse) -> None:
            digest = hashlib.sha256()
            with unfinished.open("wb") as sink:
                while piece := response.read(CHUNK):
                    digest.update(piece)
                    sink.write(piece)
            if digest.hexdigest() != sha256:
                raise UnreachableError(
                    tr("{url}{path} arrived with another hash: it is fetched again", url=self.url, path=path)
                )

        self._exchange("GET", path, b"", {}, keep)
        unfinished.replace(target)

    def _exchange(
        self,
        method: str,
        path: str,
        body: Any,
        headers: dict[str, str],
        read: Callable[[http.client.HTTPResponse], Any],
    ) -> Any:
        connection, prefix = self._connection()
        given = {"Accept": "application/json", "Accept-Language": "zh-hans" if language() == "zh" else "en", **headers}
        if self.token:
            given["Authorization"] = f"Bearer {self.token}"
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused early: the answer says why
                connection.request(method, prefix + path, body=body, headers=given)
            response = connection.getresponse()
            if response.status >= 300:
                raise RefusedError(_sentence(response), response.status)
            return read(response)
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise UnreachableError(
                tr("{url} does not answer ({why}): is the address right and the site up?", url=self.url, why=why)
            ) from error
        finally:
            connection.close()

    def _connection(self) -> tuple[http.client.HTTPConnection, str]:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(
                tr("{url!r} is not the address of a site: write https://HOST or http://HOST:PORT", url=self.url)
            )
        prefix = parts.path.rstrip("/")
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=self.seconds), prefix
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=self.seconds, context=context), prefix


def _json(response: http.client.HTTPResponse) -> Any:
    text = response.read(LARGEST_ANSWER)
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        raise UnreachableError(tr("the answer is not JSON: is this address a contest's site?")) from None


def _sentence(response: http.client.HTTPResponse) -> str:
    text = response.read(4096).decode("utf-8", "replace")
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return tr("the site answered {status} {reason}", status=response.status, reason=response.reason)
