"""Packages that the platform had without a line in requirements.txt, and modules that its Python 3.6 had.

Evidence: of forty public submissions, most of which ran and scored there, 28 import at least one of numpy, scipy,
pandas, matplotlib, pillow, torch, torchvision, tqdm, requests and six, and list it nowhere. PyYAML, pandas, numpy and
requests are what the platform's SDK itself imported: it read app.yaml, gave pandas tables and numpy stacks, and
downloaded. The rest comes along with these. What is not here is missing online: the platform's documents ask for every
new dependency by its exact name.
"""

from __future__ import annotations

__all__ = ["BASELINE", "GONE_FROM_PYTHON"]

SEEN = "numpy scipy pandas matplotlib pillow torch torchvision tqdm requests six pyyaml"
ALONG = "python-dateutil pytz setuptools urllib3 certifi idna chardet cycler pyparsing kiwisolver typing-extensions"
BASELINE = frozenset(f"{SEEN} {ALONG}".split())

DROPPED = """
aifc asynchat asyncore audioop binhex cgi cgitb chunk crypt distutils dummy_threading _dummy_threading formatter imghdr
imp lib2to3 macpath mailcap msilib nis nntplib ossaudiodev parser pipes smtpd sndhdr spwd sunau symbol telnetlib uu
xdrlib
"""
GONE_FROM_PYTHON = frozenset(DROPPED.split())
