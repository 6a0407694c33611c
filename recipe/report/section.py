"""What a section of the page is made of: tables, picture tiles, and charts that are clear in light and dark.

The SVG is inlined: its ink becomes `currentColor`, its text stays text in the reader's own fonts (Chinese included),
its background is transparent. The PNG has a white background and needs a font that holds the class names: a CJK font is
taken where there is one.
"""

from __future__ import annotations

import contextlib
import html
import importlib.util
import io
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure

from protocol.language import language, later, tr, translated
from recipe.system.console import width

INK = "#1c2530"
SOFT = "#8a94a3"  # reference lines: visible on white and on black
COLOURS = (
    "#3b82f6",
    "#f59e0b",
    "#10b981",
    "#ef4444",
    "#8b5cf6",
    "#06b6d4",
    "#ec4899",
    "#84cc16",
    "#a16207",
    "#6366f1",
    "#f97316",
    "#64748b",
)
CJK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", "Hiragino Sans "
                                                                                                "GB", "Heiti SC",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "SimHei", "Arial Unicode MS",
)  # fmt: skip
CJK_FILES = re.compile(r"(?i)cjk|sourcehansans|wqy|simhei|msyh|pingfang|hiragino|heiti|arial ?unicode")
CJK = re.compile("[\u3400-\u9fff]")
DOTS_PER_INCH = 130  # of the PNG
STYLE = {
    "font.size": 10.5,
    "axes.titlesize": 10.5,
    "axes.labelsize": 10.5,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.fontsize": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": SOFT,
    "grid.alpha": 0.25,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "axes.facecolor": "none",
    "path.simplify_threshold": 0.5,
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS),  # type: ignore[attr-defined]
}


@cache
def fonts() -> tuple[str, ...]:
    """DejaVu Sans, which matplotlib brings, and a CJK font behind it where the machine has one.

    matplotlib's list of fonts is of the day it was made, so the folders are looked through where it names none; the
    package mplfonts brings fonts of its own.
    """
    found = _cjk_font()
    if found is None:
        package = getattr(importlib.util.find_spec("mplfonts"), "origin", None)
        brought = font_manager.findSystemFonts([str(Path(package).parent / "fonts")]) if package else []
        for path in [*font_manager.findSystemFonts(), *brought]:
            if CJK_FILES.search(Path(path).name):
                with contextlib.suppress(Exception):  # a damaged font is no font
                    font_manager.fontManager.addfont(path)
        found = _cjk_font()
    return ("DejaVu Sans", *([found] if found else []))


def _cjk_font() -> str | None:
    present = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in CJK_FONTS if name in present), None)


def boxes(names: Iterable[str]) -> str:
    """What to do where the PNG files cannot show names or words as they are; empty where they can."""
    if len(fonts()) > 1 or (language() == "en" and not any(CJK.search(name) for name in names)):
        return ""
    return tr(
        "The PNG files show boxes in place of Chinese characters, since this machine has no font with them (this page "
        "is not concerned). Install one, `apt install fonts-noto-cjk` or `pip install mplfonts`, and write the report "
        "anew."
    )


def in_chart(text: str, **places: Any) -> str:
    """A sentence inside a chart: in the reader's language where a font of this machine can draw it, else in English."""
    return tr(text, **places) if len(fonts()) > 1 else translated(text, "en", **places)


@contextmanager
def _styled(name: str) -> Iterator[None]:
    with matplotlib.rc_context({**STYLE, "font.family": fonts(), "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=r"Glyph .* missing from", category=UserWarning
        )  # the page shows it in the reader's font
        yield


def draw(
    name: str,
    caption: str,
    paint: Callable[[Figure], None],
    size: tuple[float, float] = (4.7, 3.6),
    wide: bool = False,
    arranged: bool = True,
) -> Drawing:
    """The chart that `paint` puts into a figure of `size` inches; `arranged` leaves the margins to matplotlib."""
    with _styled(name):
        figure = Figure(figsize=size, layout="constrained" if arranged else None)
        paint(figure)
        if arranged:
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # both files show the same layout, and it is computed once
        vector, raster = io.StringIO(), io.BytesIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(vector, format="svg", transparent=True, metadata=nothing)
        figure.savefig(raster, format="png", facecolor="white", dpi=DOTS_PER_INCH)
    return Drawing(name, caption, inline(vector.getvalue(), name, caption), raster.getvalue(), size[0] * 96, wide)


def inline(svg: str, name: str, caption: str) -> str:
    """An SVG as an element of an HTML page: no declarations, no ids without reference, ink as `currentColor`."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.S)
    used = set(re.findall(r"#([\w.-]+)[\")]", svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", svg)
    svg = re.sub(r"(url\(|xlink:href=\")#([\w.-]+)", rf"\1#{name}-\2", svg)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg).replace(INK, "currentColor").replace("xlink:href", "href")
    svg = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", svg)
    label = html.escape(caption)
    return re.sub(
        r'<svg [^>]*?(viewBox="[^"]*")[^>]*>',
        lambda match: f'<svg {match[1]} role="img" aria-label="{label}">',
        svg,
        count=1,
    )


def colour(number: int, total: int) -> str:
    """A colour per class, clear on white and on black; beyond the twelve chosen, hues a golden angle apart."""
    if total <= len(COLOURS):
        return COLOURS[number]
    hue = (number * 0.61803) % 1
    return matplotlib.colors.to_hex(
        matplotlib.colors.hsv_to_rgb((hue, 0.75 - 0.25 * (number % 2), 0.85 - 0.2 * (number // 2 % 2)))
    )


def shortened(name: str, columns: int = 22) -> str:
    """A class name that fits an axis; a Chinese letter takes two columns."""
    if width(name) <= columns:
        return name
    while width(name) >= columns:
        name = name[:-1]
    return name + "…"


@dataclass(frozen=True)
class Drawing:
    """A chart, as SVG for the page (it takes the page's text colour) and as PNG beside it."""

    name: str  # of the file
    caption: str  # says what is to be seen; also the text for screen readers
    svg: str
    png: bytes
    width: float  # of the SVG, in CSS pixels
    wide: bool = False  # keeps its size on a phone and scrolls


@dataclass(frozen=True)
class Tile:
    """A picture with its caption."""

    image: np.ndarray  # (h, w, 3) uint8
    caption: str
    note: str = ""
    mood: str = ""  # good, bad or empty


@dataclass(frozen=True)
class Tiles:
    """Pictures side by side."""

    name: str
    caption: str
    tiles: Sequence[Tile]
    columns: int = 6  # of the PNG; the page flows


@dataclass(frozen=True)
class Grid:
    """A table; a CSV lies beside the page. Cells are text as shown."""

    name: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    shown: int = 40  # rows on the page; the CSV holds all
    prose: bool = False  # cells are words, which wrap
    folded: bool = False  # the page shows it at a click


NOTHING = {"", "–"}


def on_page(grid: Grid) -> tuple[list[str], list[list[str]]]:
    """Header and rows as the page shows them: the ends of an interval in one column, columns without a value left
    out.
    """
    header, rows = [str(cell) for cell in grid.header], [[str(cell) for cell in row] for row in grid.rows[: grid.shown]]
    if "from" in header:
        at = header.index("from")
        header[at : at + 2] = [later("95 % interval")]
        rows = [[*row[:at], _interval(*row[at : at + 2]), *row[at + 2 :]] for row in rows]
    kept = [at for at in range(len(header)) if at == 0 or {row[at] for row in rows} - NOTHING]
    return [header[at] for at in kept], [[row[at] for at in kept] for row in rows]


def _interval(low: str, high: str) -> str:
    """Three digits say enough of an interval; a dash where there is none."""
    if low in NOTHING:
        return low
    ends = [f"{float(end):.3f}" for end in (low, high)]
    return ends[0] if ends[0] == ends[1] else " – ".join(ends)


@dataclass(frozen=True)
class Section:
    """A heading, sentences, and what proves them."""

    key: str
    title: str
    text: Sequence[str] = ()
    drawings: Sequence[Drawing] = ()
    tiles: Sequence[Tiles] = ()
    grids: Sequence[Grid] = ()
