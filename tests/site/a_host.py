"""`python -m flyai_local host` as a process, and people who visit it without scripts."""

from __future__ import annotations

import http.cookiejar
import os
import re
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
GOOD = ROOT / "tests" / "submissions" / "good"
LONG = 600.0  # seconds after which something hangs, however busy the machine


def until(looks):
    """What is looked at, once it is true."""
    end = time.monotonic() + LONG
    while not (seen := looks()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)
    return seen


class Host:
    """The site, in a folder of its own."""

    def __init__(self, folder: Path, *options: str):
        self.environment = {**os.environ, "FLYAI_LOCAL_HOME": str(folder), "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            self.command("host", "--port", "0", "--nice", "0", "--lease", "4", *options),
            env=self.environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.said: list[str] = []
        for line in self.process.stdout:
            self.said.append(line)
            if "is up" in line:
                break
        assert "is up" in self.said[-1], self.said
        self.url = re.search(r"http://127\.0\.0\.1:\d+", self.said[-1])[0]
        self.port = int(self.url.rsplit(":", 1)[1])

    @staticmethod
    def command(*words: str) -> list[str]:
        return [sys.executable, "-m", "flyai_local", *words]

    def run(self, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Another command of the same folder, to its end."""
        return subprocess.run(self.command(*words), env={**self.environment, **extra}, cwd=ROOT, capture_output=True,
                              text=True, timeout=LONG, check=False)  # fmt: skip

    @property
    def password(self) -> str:
        return re.search(r"password (\S+)", "".join(self.said))[1]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=LONG)


class Person:
    """A browser without scripts: forms are found on pages and sent as they stand."""

    def __init__(self, url: str, certificate: Path | None = None):
        self.url, self.jar = url, http.cookiejar.CookieJar()
        context = ssl.create_default_context(cafile=str(certificate)) if certificate else None
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self.jar), urllib.request.HTTPSHandler(context=context)
        )

    def get(self, path: str) -> str:
        return self._read(urllib.request.Request(self.url + path))

    def post(self, page: str, path: str, files: dict[str, Path] | None = None, **fields: str) -> str:
        fields["csrfmiddlewaretoken"] = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', self.get(page))[1]
        mark, parts = "----flyai", []
        for name, value in fields.items():
            parts.append(f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
        for name, file in (files or {}).items():
            head = f'--{mark}\r\nContent-Disposition: form-data; name="{name}"; filename="{file.name}"\r\n\r\n'
            parts.append(head.encode() + file.read_bytes() + b"\r\n")
        data = b"".join(parts) + f"--{mark}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={mark}", "Referer": self.url + page}
        return self._read(urllib.request.Request(self.url + path, data, headers))

    def _read(self, request: urllib.request.Request) -> str:
        try:
            with self.opener.open(request, timeout=LONG) as response:
                return response.read().decode()
        except urllib.error.HTTPError as refusal:  # a page too
            with refusal:
                return refusal.read().decode()


def add_leaves(home: Path, pictures: tuple[Path, Path], folder: Path, monkeypatch) -> None:
    """The competition "leaves" of forty small pictures, added by the command line as its host would."""
    from flyai_local.__main__ import main

    table, archive = pictures
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder / "pictures")
    monkeypatch.setenv("FLYAI_LOCAL_HOME", str(home))
    words = ["add", "leaves", "--csv", str(table), "--images", str(folder / "pictures"), "--hidden", "0.5"]
    assert main([*words, "--image-column", "image_path", "--label-column", "label"]) == 0


def packed(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                archive.write(file, file.relative_to(folder).as_posix())
    return target
