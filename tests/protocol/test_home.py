"""A user whom the system does not know, without HOME, gets a private folder and a name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import os, sys
sys.path.insert(0, {root!r})
import getpass, pwd, random, tempfile
from pathlib import Path
from protocol.home import have_home
os.chdir(sys.argv[1])
os.setgid(54321)
os.setuid(54321)  # after the imports: this user may not read where Python lies
have_home()
have_home()
print(Path.home(), getpass.getuser(), oct(Path.home().stat().st_mode & 0o777))
"""


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become another user")
def test_a_user_without_an_entry_and_without_home(tmp_path: Path) -> None:
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o777)
    for part in [tmp_path, *tmp_path.parents][:-2]:
        part.chmod(part.stat().st_mode | 0o755)
    environment = {"TMPDIR": str(shared), "PATH": os.environ["PATH"]}
    program = PROGRAM.format(root=str(ROOT))
    done = subprocess.run([sys.executable, "-c", program, str(shared)], env=environment, capture_output=True,
                          text=True, timeout=240, check=False)  # fmt: skip
    assert (done.stdout.split(), done.stderr) == ([str(shared / "home-54321"), "uid54321", "0o700"], "")
