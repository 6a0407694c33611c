"""Django's name for this package."""

from django.apps import AppConfig


class Site(AppConfig):
    """The one application of the site."""

    name = "flyai_site"
    label = "site"
