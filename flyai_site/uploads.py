"""Files of a web form go straight to the site's storage: nothing is held in memory, nothing is written twice."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopUpload

from flyai_local.errors import UserError
from flyai_site.storage import Incoming


class Arrived(UploadedFile):
    """A file of a form that has arrived whole; `incoming` is to be kept or dropped."""

    def __init__(self, incoming: Incoming, name: str, content_type: str) -> None:
        super().__init__(None, name, content_type, incoming.size)
        self.incoming = incoming

    def close(self) -> None:
        """Called by Django at the end of the request: what the view did not keep is dropped."""
        self.incoming.drop()


class ToStorage(FileUploadHandler):
    """Django's upload handler of this site."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """A file of the form begins."""
        super().new_file(*args, **kwargs)
        try:
            self.incoming = Incoming(settings.SITE.max_upload_mb * 2**20)
        except UserError as error:  # the disk is full
            raise StopUpload(connection_reset=True) from error

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Its next piece."""
        try:
            self.incoming.write(raw_data)
        except UserError as error:
            raise StopUpload(connection_reset=True) from error

    def file_complete(self, file_size: int) -> Arrived:
        """Its end."""
        return Arrived(self.incoming, self.file_name or "", self.content_type or "")

    def upload_interrupted(self) -> None:
        """The sender left."""
        if hasattr(self, "incoming"):
            self.incoming.drop()
