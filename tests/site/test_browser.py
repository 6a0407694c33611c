"""The whole contest in Chromium, scripts and all: live pages, four looks of each, nothing against the site's policy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import a_site  # noqa: F401 - sets Django up
import pytest
from a_host import GOOD, Host, packed
from test_journey import needs_isolation

pytest_plugins = ["a_site"]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = os.environ.get("PLAYWRIGHT_CORE", "")  # a folder whose node_modules holds playwright-core


@needs_isolation
@pytest.mark.skipif(
    not (CHROMIUM and DRIVER and shutil.which("node")),
    reason="needs chromium, node and PLAYWRIGHT_CORE=FOLDER with playwright-core below it",
)
def test_a_contest_in_a_real_browser(tmp_path, pictures):
    out = Path(os.environ.get("FLYAI_SCREENSHOTS") or tmp_path / "out")
    out.mkdir(parents=True, exist_ok=True)
    own = packed(GOOD / "nearest_mean", tmp_path / "own.zip")
    host = Host(tmp_path / "home")
    try:
        script = Path(__file__).with_name("browser.mjs")
        command = ["node", str(script), host.url, host.password, *map(str, (*pictures, own, out))]
        environment = {**os.environ, "CHROMIUM": CHROMIUM}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
        assert ran.returncode == 0, ran.stderr[-2000:]
    finally:
        host.stop()
    seen = json.loads(ran.stdout.splitlines()[-1])
    assert "scored" in seen["states"] and len(seen["states"]) > 1, seen["states"]  # renewed without a reload
    assert "isolated by bubblewrap" in seen["log"] and float(seen["score"]) >= 0
    assert "closed since" in seen["late"] and seen["hidden"]
    assert "Private" in seen["revealed"] and "Ada 王" in (out / "export.csv").read_text(encoding="utf-8-sig")
    assert "private" not in seen["before"]["rows"][0] and seen["after"]["rows"][0]["private"] is not None
    assert [fault for fault in seen["faults"] if "409" not in fault] == []
    assert len(list(out.glob("*.png"))) == 16
