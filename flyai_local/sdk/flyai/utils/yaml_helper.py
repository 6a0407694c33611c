"""Reads app.yaml, the card of a 1.x project."""

from pathlib import Path

from flyai.project import project_path

METHODS = {"processor": "Processor", "input_x": "input_x", "input_y": "input_y", "output_y": "output_y"}


class Yaml:
    """The app.yaml at `path`; without one, that of the working directory, otherwise that of the project.

    Attributes:
        card: the file's first document as a dict; old files begin with ``---`` and end with ``...``.
    """

    def __init__(self, path=None):
        """Read the file.

        Raises:
            FileNotFoundError: there is no app.yaml.
        """
        self.path = Path(path) if path else _app_yaml()
        self.card = _first_document(self.path)

    def get_data_id(self):
        """Return the competition's id."""
        return self._section("data").get("id")

    def data_config(self):
        """Return the section `data`."""
        return self._section("data")

    def model_config(self):
        """Return the section `model`."""
        return self._section("model")

    def get_servers(self):
        """Return the list of training servers, as it is written."""
        return self.card.get("servers") or []

    def processor(self):
        """Return the section `model` with the names of the processor's class and methods filled in."""
        return {**METHODS, **{key: value for key, value in self._section("model").items() if value is not None}}

    def get_input_names(self):
        """Return the names of the input columns."""
        return _names(self._section("model").get("input"))

    def get_output_names(self):
        """Return the names of the output columns."""
        return _names(self._section("model").get("output"))

    def _section(self, name):
        section = self.card.get(name)
        return section if isinstance(section, dict) else {}


def _app_yaml():
    for path in (Path("app.yaml"), project_path("app.yaml")):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"app.yaml is in neither the working directory {Path.cwd()} nor the project {project_path()}"
    )


def _first_document(path):
    """Return the first YAML document of a file in UTF-8, or GB18030 as Chinese Windows editors wrote it."""
    import yaml  # Only here: importing the SDK must not need PyYAML.

    written = path.read_bytes()
    try:
        text = written.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = written.decode("gb18030")
    card = next(iter(yaml.safe_load_all(text)), None)
    return card if isinstance(card, dict) else {}


def _names(part):
    """Return the column names of ``{columns: [{name: ...}]}``."""
    columns = part.get("columns") if isinstance(part, dict) else None
    return [column["name"] for column in columns or [] if isinstance(column, dict) and column.get("name")]
