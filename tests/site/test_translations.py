"""Every sentence of the pages is there in Chinese, and the compiled catalogue is that of the source."""

from __future__ import annotations

import ast
import gettext
import re

import pytest
from a_site import body, ended, person, upload
from django.test import Client

from flyai_site.settings import PACKAGE

pytest_plugins = ["a_site"]
FOLDER = PACKAGE / "locale" / "zh_Hans" / "LC_MESSAGES"


def sentences() -> set[str]:
    """What templates and modules mark for translation."""
    found: set[str] = set()
    for path in (PACKAGE / "templates").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r"""{% translate "([^"]*)" %}""", text))
        found |= set(re.findall(r"""{% translate '([^']*)' %}""", text))
        for block in re.findall(r"{% blocktranslate[^%]*%}(.*?){% endblocktranslate %}", text, re.DOTALL):
            found.add(re.sub(r"{{ (\w+) }}", r"%(\1)s", block))
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                found.add(ast.literal_eval(node.args[0]))
    return found


def test_every_sentence_has_its_chinese():
    with (FOLDER / "django.mo").open("rb") as file:
        known = gettext.GNUTranslations(file)
    marked = sentences()
    assert len(marked) > 150
    for sentence in marked:
        chinese = known.gettext(sentence)
        assert chinese != sentence and re.search("[\u4e00-\u9fff]", chinese), sentence
        assert sorted(re.findall(r"%\(\w+\)\S", chinese)) == sorted(re.findall(r"%\(\w+\)\S", sentence)), sentence


def test_the_compiled_catalogue_is_that_of_the_source():
    source = (FOLDER / "django.po").read_text(encoding="utf-8")
    with (FOLDER / "django.mo").open("rb") as file:
        known = gettext.GNUTranslations(file)
    pairs = re.findall(r'^msgid "(.+)"\nmsgstr "(.+)"$', source, re.MULTILINE)
    assert len(pairs) > 150 and "fuzzy" not in source
    for key, value in pairs:
        assert known.gettext(key.replace('\\"', '"')) == value.replace('\\"', '"')


def test_the_language_is_chosen_by_the_reader_and_remembered(contest):
    browser = Client(headers={"accept-language": "zh-CN,zh;q=0.9"})
    assert "排行榜" in body(browser.get("/")) and 'lang="zh-hans"' in body(browser.get("/"))
    browser.post("/language", {"language": "en", "next": "/"})
    assert "Board" in body(browser.get("/"))
    plain = Client()
    plain.post("/language", {"language": "zh-hans", "next": "/"})
    assert "排行榜" in body(plain.get(f"/c/{contest.slug}"))


@pytest.mark.parametrize(("server", "reader"), [("en", "zh-CN"), ("zh", "en"), ("zh", "fr")])
def test_what_other_rooms_say_is_in_the_reader_s_language(site, organiser, pictures, monkeypatch, server, reader):
    monkeypatch.setenv("FLYAI_LANG", server)  # of the shell that the site was started from
    with pictures[0].open("rb") as table, pictures[1].open("rb") as archive:
        given = {"csv": table, "pictures": archive, "slug": "new-one", "hidden": "0.5", "image_column": "absent"}
        answer = person("olga").post("/organise/new", given, headers={"accept-language": reader})
    sentence = re.search(r"<main.*</main>", body(answer), re.DOTALL)[0]
    assert answer.status_code == 409 and "absent" in sentence
    assert bool(re.search("[\u4e00-\u9fff]", sentence)) is reader.startswith("zh"), sentence
    assert bool(re.search("[a-z]{3,} [a-z]{2,} [a-z]{2,}", re.sub("<[^>]*>", "", sentence))) is (reader != "zh-CN"), (
        sentence
    )


def test_no_english_is_left_on_the_chinese_pages(contest):
    ada, olga = person("ada", contest), person("olga")
    run = ended(upload(ada.user, contest), state="failed", code="training-failed", detail="x")
    for who, where in ((ada, f"/c/{contest.slug}"), (ada, f"/c/{contest.slug}/board"), (ada, f"/s/{run.submission_id}"),
                       (ada, f"/c/{contest.slug}/submit"), (ada, f"/c/{contest.slug}/mine"), (ada, "/me"),
                       (olga, f"/organise/{contest.slug}"), (olga, "/organise/new"), (olga, "/organise/workers"),
                       (olga, f"/organise/{contest.slug}/audit"), (Client(), "/login")):  # fmt: skip
        text = body(who.get(where, headers={"accept-language": "zh-CN"}))
        inside = r"<(code|pre|option|script|button class=\"plain\" lang)[^>]*>.*?</\w+>|<[^>]+>"
        shown = re.sub(inside, " ", text, flags=re.DOTALL)
        words = re.findall(r"[A-Za-z]{3,}(?: [A-Za-z]{2,}){2,}", shown)
        assert not [w for w in words if not re.match(r"(python|analytical|main)", w)], (where, words)
