"""The language of what a person reads: English or Chinese, from one gettext catalogue (docs/languages.md).

    raise DataError(tr("{file} is longer than {most:,} bytes. Divide it.", file=file, most=MOST_BYTES))

A sentence is whole, with named places, and is looked up when it is said; `later` marks one that stands in a constant.
What machines read (headers of CSV files, JSON, exit codes) is never translated.
"""

from __future__ import annotations

import contextlib
import gettext
import locale
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from protocol.errors import UserError

LANGUAGES = ("en", "zh")
VARIABLE = "FLYAI_LANG"
FLAG = "--lang"
DOMAIN = "flyai"
FOLDER = Path(__file__).parent / "locale"
_reader: ContextVar[str | None] = ContextVar("reader", default=None)


class LanguageError(UserError, ValueError):
    """A language that nothing here is written in; the message names those that exist."""


def choose(words: Sequence[str]) -> list[str]:
    """The words of a command line without `--lang`, which goes into the environment for this process and its children.

    It is called before the parser is made, since the help is read too.

    Raises:
        LanguageError: the flag or the variable names another language, or the flag none.
    """
    rest, words = [], list(words)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if word == "--":
            rest += [word, *words]
            break
        if name == FLAG:
            os.environ[VARIABLE] = _known(value if equals else words.pop(0) if words else "", FLAG)
        else:
            rest.append(word)
    named = os.environ.get(VARIABLE, "").strip()
    if named:
        _known(named, tr("the environment variable {name}", name=VARIABLE))
    return rest


def _known(value: str, place: str) -> str:
    found = _of(value)
    if found is None:
        raise LanguageError(
            tr(
                "{place} names the language {value!r}; there are {known}.",
                place=place,
                value=value,
                known=", ".join(LANGUAGES),
            )
        )
    return found


def _of(value: str) -> str | None:
    """`zh` of zh, zh_CN.UTF-8 and zh-Hans; None of another language."""
    name = value.strip().lower().replace("-", "_").partition(".")[0].partition("_")[0]
    return name if name in LANGUAGES else None


@contextlib.contextmanager
def speaking(wanted: str) -> Iterator[None]:
    """Within the block this thread speaks to somebody else than who started the process: a reader of its pages.

    Args:
        wanted: a language as locales or browsers name it, such as zh-hans or zh-CN,zh;q=0.9; any other: English.
    """
    token = _reader.set(_of(wanted.partition(",")[0].partition(";")[0]) or "en")
    try:
        yield
    finally:
        _reader.reset(token)


def language(environment: Mapping[str, str] = os.environ) -> str:
    """`zh` or `en`: the reader's (`speaking`), else what the variable FLYAI_LANG names, else what the locale says, else
    English. Raises nothing."""
    if (reader := _reader.get()) is not None:
        return reader
    named = environment.get(VARIABLE, "").strip()
    if named:
        return _of(named) or "en"
    spoken = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environment.get(name))), "")
    if not spoken and os.name == "nt":
        spoken = (locale.getlocale()[0] or "").replace("Chinese", "zh")
    return _of(spoken) or "en"


def tr(text: str, /, **places: Any) -> str:
    """A sentence in the language of this process, with its places filled as `str.format` fills them.

    A place that a translation names wrongly costs the translation, never the run.

    Args:
        text: English, written out where it stands, so that it can be extracted.
        places: none where the text is to stay as it is, braces and all.
    """
    return translated(text, language(), **places)


def translated(text: str, wanted: str, /, **places: Any) -> str:
    """The same in a language of the caller's choice."""
    return _filled(catalogue(wanted).gettext(text) if text else "", text, places)


def counted(one: str, many: str, count: int, /, **places: Any) -> str:
    """A sentence whose English depends on a number; `count` is one of its places."""
    found = catalogue(language()).ngettext(one, many, count)
    return _filled(found, one if count == 1 else many, {"count": count, **places})


def _filled(found: str, text: str, places: Mapping[str, Any]) -> str:
    if not places:
        return found
    if found != text:
        with contextlib.suppress(LookupError, ValueError, TypeError, AttributeError):
            return found.format(**places)
    return text.format(**places)


def later(text: str) -> str:
    """The text itself: marked for the catalogue, and looked up by `tr` where it is said."""
    return text


@cache
def catalogue(wanted: str) -> gettext.NullTranslations:
    """The translations into a language; none for English, and where the file is absent."""
    if wanted == "en":
        return gettext.NullTranslations()
    try:
        return gettext.translation(DOMAIN, FOLDER, [wanted])
    except (OSError, ValueError, LookupError, struct.error):  # absent, or not what it should be
        return gettext.NullTranslations()
