"""Fills the templates of pages: each lies beside the module that writes its page, and all include style.html."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from protocol.language import language, tr

HERE = Path(__file__).parent  # of what templates share


def fill(template: Path, **values: Any) -> str:
    """The text of a template; in HTML what is filled in is escaped, `code` between backticks is set as code,
    and `_("a sentence with {places}", places=...)` is said in the reader's language.

    Raises:
        jinja2.UndefinedError: the template names a value that is not given.
    """
    import jinja2  # only a command that writes a page needs it

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, HERE], encoding="utf-8"),
        autoescape=jinja2.select_autoescape(("html",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"], environment.filters["foldable"] = _code, _foldable
    environment.globals["_"], environment.globals["language"] = tr, language()
    return environment.get_template(template.name).render(**values)


def _code(text: object) -> str:
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(str(text)))


def _foldable(text: object) -> str:
    """A caption that may go on in the next line after a `_`, rather than amid a word."""
    return html.escape(str(text)).replace("_", "_<wbr>")
