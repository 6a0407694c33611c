"""Spec strings: parsed, never evaluated, refused in a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe.registry import NotNegative, Probability, Registry, Spec, SpecError, parse, parse_many

THINGS = Registry("thing")


@THINGS.register
def plain(size: int, /, p: Probability = 0.5, *, gamma: NotNegative = 2.0):
    """Gives back what it was built with. Source: this test."""
    return size, p, gamma


@THINGS.register(name="wraps")
def _wraps(size: int, /, base: Spec = Spec("plain"), k: int = 1):  # noqa: B008
    """Builds another. Source: this test."""
    return THINGS.build(base, size), k


def test_context_and_settings():
    assert THINGS.build("plain(0.25, gamma=3)", 7) == (7, 0.25, 3.0)
    assert THINGS.build("wraps(plain(p=1), k=2)", 7) == ((7, 1.0, 2.0), 2)
    assert THINGS.build("wraps(base='plain(0)')", 7) == ((7, 0.0, 2.0), 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plian()", "Did you mean 'plain'"),
        ("plain(gama=1)", "Did you mean 'gamma'"),
        ("plain(p=2)", "p=2 is refused"),
        ("plain(p='a')", "p='a' is refused"),
        ("plain(1, 2, 3)", "Settings: p, gamma"),
        ("plain(", "is not a component"),
        ("plain(p=1+1j)", "is refused"),
        ("plain(p=open('x').read())", "is not a component"),
        ("plain(p=1 if 1 else 2)", "settings are numbers"),
        ("plain(**{})", "cannot"),
        ("__import__('os').system('true')", "is not a component"),
        ("plain(), plain()", "exactly one"),
        ("", "0 components"),
    ],
)
def test_refusals_name_the_remedy(text, message):
    with pytest.raises(SpecError, match=message.replace("(", r"\(")):
        THINGS.build(text, 7)


def test_many():
    assert parse_many("") == []
    assert [spec.name for spec in parse_many("a, b(c(), p=0.5)")] == ["a", "b"]


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: (
        name
        not in {
            "if",
            "in",
            "is",
            "or",
            "as",
            "and",
            "not",
            "for",
            "def",
            "del",
            "try",
            "with",
            "from",
            "else",
            "elif",
            "pass",
            "while",
            "async",
            "await",
            "break",
            "class",
            "raise",
            "yield",
            "return",
            "global",
            "import",
            "lambda",
            "assert",
            "except",
            "finally",
            "continue",
            "nonlocal",
        }
    )
)
LITERALS = st.one_of(
    st.integers(-9, 9), st.booleans(), st.none(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)
)
SPECS = st.recursive(
    st.builds(Spec, NAMES),
    lambda inner: st.builds(
        Spec,
        NAMES,
        st.lists(st.one_of(LITERALS, inner), max_size=2).map(tuple),
        st.dictionaries(NAMES, st.one_of(LITERALS, inner), max_size=2),
    ),
    max_leaves=4,
)


@given(SPECS)
def test_text_and_spec_are_the_same(spec):
    assert parse(str(spec)) == spec
