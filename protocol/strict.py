"""Settings that are checked whole: models that refuse unknown keys, and what they refuse as sentences for a user."""

from __future__ import annotations

import reprlib
from typing import Any, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from protocol.errors import UserError
from protocol.language import tr
from protocol.nearest import nearest
from protocol.refused import clause


class ConfigError(UserError, ValueError):
    """A setting that cannot be used; the message names the value, what is accepted and the remedy."""


class Strict(BaseModel):
    """Unknown keys and numbers that are none are refused, and nothing changes after construction."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def not_between(low: float, high: float) -> AfterValidator:
    """Refuses a number above `low` and below `high`."""

    def check(number: float) -> float:
        if low < number < high:
            raise ValueError(
                tr(
                    "{number:g} lies between {low:g} and {high:g}; give {low:g}, or {high:g} and more",
                    number=number,
                    low=low,
                    high=high,
                )
            )
        return number

    return AfterValidator(check)


def checked(model: type[Any], settings: dict[str, Any], where: str) -> Any:
    """A model from a mapping, with errors as sentences.

    Raises:
        ConfigError: names the key, the value, what is accepted and the nearest known key.
    """
    try:
        return model.model_validate(settings)
    except ValidationError as error:
        raise ConfigError("\n".join(_sentence(model, issue, where) for issue in error.errors())) from None


def _sentence(model: type[BaseModel], issue: Any, where: str) -> str:
    key = ".".join(str(part) for part in issue["loc"])
    if issue["type"] == "extra_forbidden":
        known = _fields_at(model, issue["loc"][:-1])
        return tr(
            "{where}: unknown key {key!r}.{nearest} Known: {known}.",
            where=where,
            key=key,
            nearest=nearest(str(issue["loc"][-1]), known),
            known=", ".join(known),
        )
    if issue["type"] == "missing":
        return tr("{where}: {key!r} is missing.", where=where, key=key)
    given = reprlib.repr(issue["input"]) if isinstance(issue["input"], (dict, list)) else repr(issue["input"])
    if not key:
        return f"{where}: {issue['msg'].removeprefix('Value error, ').rstrip('.')}."
    return tr("{where}: {key}: {given} is refused: {why}.", where=where, key=key, given=given, why=clause(issue))


def _fields_at(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    inner: Any = model
    for part in location:  # a number is a place in a tuple, any other word a key
        fields = getattr(inner, "model_fields", {})
        inner = fields[part].annotation if part in fields else next(iter(get_args(inner)), None)
        inner = next(
            (each for each in get_args(inner) if type(None) in get_args(inner) and each is not type(None)), inner
        )
    return list(getattr(inner, "model_fields", ()))
