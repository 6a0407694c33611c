"""Chinese in charts: a font is found although matplotlib's list is older than it, and a sentence says where none is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from matplotlib import font_manager, get_data_path

from recipe.report import section

MONO = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSansMono.ttf"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with some font files, of which matplotlib's list knows none; the one looked for is DejaVu Sans Mono."""

    def with_files() -> tuple[str, ...]:
        section.fonts.cache_clear()
        return section.fonts()

    plain = [font for font in font_manager.fontManager.ttflist if font.name == "DejaVu Sans"]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", plain)
    monkeypatch.setattr(section, "CJK_FONTS", ("DejaVu Sans Mono",))
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda *where: sorted(map(str, tmp_path.glob("*.*"))))
    yield with_files
    monkeypatch.undo()
    section.fonts.cache_clear()


def test_a_font_that_was_installed_after_the_list_was_made_is_found(machine, tmp_path):
    assert machine() == ("DejaVu Sans",)
    shutil.copy(MONO, tmp_path / "NotoSansCJK-Regular.ttf")
    (tmp_path / "wqy-broken.ttc").write_bytes(b"no font")
    assert machine() == ("DejaVu Sans", "DejaVu Sans Mono")


def test_without_a_font_charts_speak_english_and_the_page_says_what_to_install(machine, monkeypatch):
    machine()
    assert section.boxes(["猫", "dog"]).count("fonts-noto-cjk") == 1 and section.boxes(["cat", "dog"]) == ""
    monkeypatch.setenv("FLYAI_LANG", "zh")
    assert section.in_chart("true class") == "true class" and "fonts-noto-cjk" in section.boxes(["cat"])


def test_with_a_font_charts_speak_the_reader_s_language(machine, tmp_path, monkeypatch):
    shutil.copy(MONO, tmp_path / "NotoSansCJK-Regular.ttf")
    machine()
    monkeypatch.setenv("FLYAI_LANG", "zh")
    assert section.in_chart("true class") == "真实类别" and section.boxes(["猫"]) == ""
