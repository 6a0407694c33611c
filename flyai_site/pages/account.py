"""Registering, logging in and out, tokens for programs, the language of the pages."""

from __future__ import annotations

import re
from datetime import timedelta

from django.contrib.auth import authenticate, login, logout, password_validation
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from flyai_local.errors import UserError
from flyai_site import audit
from flyai_site.models import Token
from flyai_site.pages.frame import done, page
from flyai_site.rates import tick
from flyai_site.words import hashed, new_word

NAME = re.compile(r"[\w.@+-]{2,40}")
TOKEN_DAYS = 90
FROM_ONE_PLACE = 120  # a whole class logs in from one address
FOR_ONE_NAME = 10  # from one place: whoever guesses shuts himself out, not the owner of the name elsewhere
FOR_ONE_NAME_FROM_ALL = 300  # more than one place can try


def make_user(name: str, password: str) -> User:
    """A new person.

    Raises:
        UserError: the name or the password is not accepted; says why.
    """
    if not NAME.fullmatch(name):
        raise UserError(_("Names have 2 to 40 letters, digits and . @ + - _"))
    try:
        password_validation.validate_password(password, User(username=name))
        with transaction.atomic():
            if User.objects.filter(username__iexact=name).exists():
                raise IntegrityError
            made: User = User.objects.create_user(name, password=password)
    except ValidationError as error:
        raise UserError(" ".join(error.messages)) from error
    except IntegrityError as error:
        raise UserError(_("This name is taken: choose another.")) from error
    return made


def find_user(request: HttpRequest, name: str, password: str) -> User:
    """The person of that name and password. Counts the attempts on a name and from an address.

    Raises:
        UserError: none; says not which of the two is wrong.
    """
    place = request.META.get("REMOTE_ADDR", "")
    tick(f"login-from:{place}", FROM_ONE_PLACE)
    tick(f"login-name:{place}:{name.lower()}", FOR_ONE_NAME)
    tick(f"login-all:{name.lower()}", FOR_ONE_NAME_FROM_ALL)
    found = authenticate(request, username=name, password=password)
    if found is None:
        raise UserError(_("Name and password do not belong together."))
    return found  # type: ignore[no-any-return, unused-ignore]


def make_token(user: User, label: str) -> str:
    """A word that lets a program act as the person, for 90 days. It is shown now and never again."""
    word = new_word("fp")
    until = timezone.now() + timedelta(days=TOKEN_DAYS)
    Token.objects.create(user=user, token_hash=hashed(word), label=label[:64] or "-", expires=until)
    audit.note(user, "token-made", label[:64])
    return word


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def register(request: HttpRequest) -> HttpResponse:
    """The page that makes a person."""
    if request.method == "GET":
        return page(request, "register.html", next=_next(request))
    tick(f"register:{request.META.get('REMOTE_ADDR', '')}", FROM_ONE_PLACE)
    try:
        made = make_user(request.POST.get("name", "").strip(), request.POST.get("password", ""))
    except UserError as error:
        return page(request, "register.html", 400, error=str(error), name=request.POST.get("name"), next=_next(request))
    audit.note(made, "registered", made.username)
    login(request, made)
    return redirect(_next(request))


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def log_in(request: HttpRequest) -> HttpResponse:
    """The page that lets a person in; the session gets a new key."""
    if request.method == "GET":
        return page(request, "login.html", next=_next(request))
    name = request.POST.get("name", "").strip()
    try:
        login(request, find_user(request, name, request.POST.get("password", "")))
    except UserError as error:
        return page(request, "login.html", 400, error=str(error), name=name, next=_next(request))
    return redirect(_next(request))


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """Forget the session."""
    logout(request)
    return redirect("/")


@login_required
@require_http_methods(["GET", "POST"])
def me(request: HttpRequest) -> HttpResponse:
    """Tokens of a person: a new one is shown once."""
    word = make_token(request.user, request.POST.get("label", "")) if request.method == "POST" else ""
    tokens = Token.objects.filter(user=request.user, expires__gt=timezone.now()).order_by("-id")
    return page(request, "me.html", word=word, tokens=tokens)


@login_required
@require_POST
def drop_token(request: HttpRequest, number: int) -> HttpResponse:
    """Take a token back."""
    Token.objects.filter(user=request.user, pk=number).delete()
    return done(request, "/me", _("The token is no longer valid."))


def _next(request: HttpRequest) -> str:
    """Where to go after this, on this site only."""
    wished = request.POST.get("next") or request.GET.get("next") or "/"
    safe = url_has_allowed_host_and_scheme(wished, {request.get_host()}, request.is_secure())
    return wished if safe else "/"
