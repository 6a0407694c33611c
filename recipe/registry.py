"""Spec strings and registries: how a name in app.yaml or on the command line becomes an object.

    LOSSES.build("focal(gamma=2)", counts)
    OPTIMIZERS.build("sam(sgd(momentum=0.9), rho=0.05)", groups, lr)

A component is one function or class registered under the name the literature uses. Its positional-only parameters are
the context that the program supplies; all others are settings that a user may write in the spec string. Strings are
parsed with `ast` (names, calls and literals only) and never evaluated. `my_parts:poly1(epsilon=2)` is a component of
the file my_parts.py beside main.py (recipe/plugins.py).
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import TypeAdapter, ValidationError

from protocol.errors import UserError
from protocol.language import tr
from protocol.nearest import nearest
from recipe import plugins

Probability = Annotated[float, Ge(0), Le(1)]
Fraction = Annotated[float, Ge(0), Lt(1)]
Positive = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]
Count = Annotated[int, Ge(1)]

# `module:name` outside of quotes; Python's own grammar spells it `module.name`.
_OF_A_FILE = re.compile(r"""('[^']*'|"[^"]*")|([^\W\d]\w*)(?:\.py)?:([^\W\d]\w*)""")
_adapted = functools.cache(TypeAdapter)


class SpecError(UserError, ValueError):
    """A spec string, or a setting in it, that cannot be used; the message says what is accepted."""


LONGEST = 4000  # characters of a spec string


@dataclass(frozen=True)
class Spec:
    """A parsed component: its name and the settings written in the string. `str()` gives the string back."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        settings = [_show(value) for value in self.args] + [
            f"{key}={_show(value)}" for key, value in self.kwargs.items()
        ]
        return f"{self.name}({', '.join(settings)})"


def _show(value: Any) -> str:
    return str(value) if isinstance(value, Spec) else repr(value)


def parse(text: str | Spec) -> Spec:
    """One component from `name` or `name(settings)`.

    Raises:
        SpecError: not exactly one component.
    """
    specs = parse_many(text)
    if len(specs) != 1:
        raise SpecError(
            tr(
                "{given!r} names {specs} components where exactly one is expected, for example 'name(setting=1)'.",
                given=str(text),
                specs=len(specs),
            )
        )
    return specs[0]


def parse_many(text: str | Spec) -> list[Spec]:
    """Components from `a(), b(p=0.5), c`; an empty string gives an empty list.

    Raises:
        SpecError: anything but names, calls and literals.
    """
    if isinstance(text, Spec):
        return [text]
    if not text.strip():
        return []
    if len(text) > LONGEST:
        raise SpecError(
            tr(
                "{beginning!r}... has {length:,} characters; components have at most {longest:,}.",
                beginning=text[:40],
                length=len(text),
                longest=LONGEST,
            )
        )
    try:
        python = _OF_A_FILE.sub(lambda found: found[1] or f"{found[2]}.{found[3]}", text.strip())
        body = ast.parse(python, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = error.msg if isinstance(error, SyntaxError) else str(error) or tr("it is nested too deeply")
        raise SpecError(
            tr("{given!r} is not a component such as 'name(setting=1)': {why}.", given=text, why=why)
        ) from None
    nodes = body.elts if isinstance(body, ast.Tuple) else [body]
    return [_spec(node, text) for node in nodes]


def _spec(node: ast.AST, text: str) -> Spec:
    if name := _name(node):
        return Spec(name)
    if isinstance(node, ast.Call) and (name := _name(node.func)):
        if any(keyword.arg is None for keyword in node.keywords):
            raise SpecError(tr("{given!r} holds '**', which a component's settings cannot.", given=text))
        kwargs = {str(keyword.arg): _value(keyword.value, text) for keyword in node.keywords}
        return Spec(name, tuple(_value(arg, text) for arg in node.args), kwargs)
    raise SpecError(
        tr(
            "{given!r} is not a component: write a name, or a name with settings in brackets, such "
            "as 'name(setting=1)'.",
            given=text,
        )
    )


def _name(node: ast.AST) -> str:
    """`poly1`, or `my_parts:poly1` of a file; empty for anything else."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}:{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _value(node: ast.AST, text: str) -> Any:
    if isinstance(node, ast.Call) or _name(node):
        return _spec(node, text)
    try:
        return ast.literal_eval(node)
    except (ValueError, SyntaxError, TypeError):
        raise SpecError(
            tr(
                "{given!r} holds {unparse!r}; settings are numbers, strings, lists or components.",
                given=text,
                unparse=ast.unparse(node),
            )
        ) from None


class Registry:
    """The components of one family, by name: the house's own, and those of the plugins that settings name.

    Args:
        accepts: what a component is called with and gives, in words.
        facts: attributes that every component has; those it lacks are set to these.
    """

    def __init__(self, family: str, accepts: str = "", facts: Mapping[str, Any] | None = None) -> None:
        self.family, self.accepts, self.facts = family, accepts, dict(facts or {})
        self._components: dict[str, Callable[..., Any]] = {}

    def register(self, component: Callable[..., Any] | None = None, *, name: str | None = None) -> Any:
        """Decorator: files a function or class under its own name (or `name`, for names Python cannot spell)."""
        if component is None:
            return functools.partial(self.register, name=name)
        key = name or component.__name__
        if key in self._components:
            raise ValueError(f"{self.family} {key!r} is registered twice")
        self._components[key] = self._with_facts(component)
        return component

    def _with_facts(self, component: Callable[..., Any]) -> Callable[..., Any]:
        for fact, value in self.facts.items():
            if not hasattr(component, fact):
                setattr(component, fact, value)
        return component

    def __iter__(self) -> Iterator[str]:
        plugins.load_asked()
        return iter(sorted(self._components))

    def __contains__(self, name: object) -> bool:
        if name not in self._components:
            plugins.load_asked()
        return name in self._components or (isinstance(name, str) and ":" in name)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __getitem__(self, name: str) -> Any:
        if ":" in name:
            return self._of_a_file(*name.split(":", 1))
        if name not in self._components:
            plugins.load_asked()
        try:
            return self._components[name]
        except KeyError:
            looked = tr(" (looked in {asked} too)", asked=", ".join(plugins.asked())) if plugins.asked() else ""
            raise SpecError(
                tr(
                    "unknown {family} {name!r}.{nearest} Known: {self}{looked}.",
                    family=self.family,
                    name=name,
                    nearest=nearest(name, self),
                    self=", ".join(self),
                    looked=looked,
                )
            ) from None

    def _of_a_file(self, file: str, name: str) -> Callable[..., Any]:
        """The component `name` of a plugin: filed by its decorator, or a function or class that is written there."""
        own = plugins.parts_of(file, self._components)
        if name not in own:
            raise SpecError(
                tr(
                    "unknown {family} '{file}:{name}'.{nearest} {place} has: {own}.",
                    family=self.family,
                    file=file,
                    name=name,
                    nearest=nearest(name, own),
                    place=plugins.place(file),
                    own=", ".join(sorted(own)) or tr("no function or class"),
                )
            )
        return self._with_facts(own[name])

    def settings(self, name: str) -> dict[str, inspect.Parameter]:
        """The parameters of a component that a spec string may set."""
        parameters = inspect.signature(self[name]).parameters
        return {key: p for key, p in parameters.items() if p.kind is not inspect.Parameter.POSITIONAL_ONLY}

    def check(self, text: str | Spec) -> Spec:
        """The spec with every setting converted to its declared type and checked against its range.

        Raises:
            SpecError: an unknown component or setting, or a value out of range.
        """
        spec = parse(text)
        component = self[spec.name]
        settings = self.settings(spec.name)
        known = ", ".join(settings) or tr("none")
        unknown = [key for key in spec.kwargs if key not in settings]
        if unknown and not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in settings.values()):
            raise SpecError(
                tr(
                    "{family} {name!r} has no setting {unknown!r}.{nearest} Settings: {known}.",
                    family=self.family,
                    name=spec.name,
                    unknown=unknown[0],
                    nearest=nearest(unknown[0], settings),
                    known=known,
                )
            )
        try:
            bound = inspect.Signature(list(settings.values())).bind(*spec.args, **spec.kwargs)
        except TypeError as error:
            raise SpecError(
                tr(
                    "{family} {spec!r}: {error}. Settings: {settings}.",
                    family=self.family,
                    spec=str(spec),
                    error=error,
                    settings=known,
                )
            ) from None
        target = component.__init__ if inspect.isclass(component) else component  # type: ignore[misc]
        hints = typing.get_type_hints(target, include_extras=True)
        for key, value in bound.arguments.items():
            bound.arguments[key] = _checked(f"{self.family} {spec.name!r}", key, value, hints.get(key), settings[key])
        return Spec(spec.name, bound.args, bound.kwargs)

    def build(self, text: str | Spec, *context: Any) -> Any:
        """The component made from a spec string, with the context its family supplies."""
        spec = self.check(text)
        return self[spec.name](*context, *spec.args, **spec.kwargs)


def _checked(where: str, key: str, value: Any, hint: Any, parameter: inspect.Parameter) -> Any:
    if hint is None or hint is Spec or isinstance(value, Spec) or parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return parse(value) if hint is Spec and isinstance(value, str) else value
    try:
        return _adapted(hint).validate_python(value)
    except ValidationError as error:
        raise SpecError(
            tr(
                "{where}: {key}={value!r} is refused: {msg}.",
                where=where,
                key=key,
                value=value,
                msg=error.errors()[0]["msg"].lower(),
            )
        ) from None
