"""Django's name for this package."""

from django.apps import AppConfig


class Site(AppConfig):
    """The one application of the site."""

    name = "flyai_site"
    label = "site"

    def ready(self) -> None:
        """What the database is given is made plain first."""
        from flyai_site.plain import guard_connections

        guard_connections()
