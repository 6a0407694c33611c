"""Triggers that refuse to change or remove a row of the audit, whoever asks."""

from django.db import migrations

SQLITE = [
    f"CREATE TRIGGER audit_no_{deed} BEFORE {deed} ON site_audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
    for deed in ("update", "delete")
]
POSTGRESQL = [
    "CREATE FUNCTION site_audit_refuse() RETURNS trigger AS "
    "$$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$ LANGUAGE plpgsql",
    "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON site_audit "
    "FOR EACH STATEMENT EXECUTE FUNCTION site_audit_refuse()",
]


def forbid(apps, editor):
    """Make the triggers of this database."""
    for statement in POSTGRESQL if editor.connection.vendor == "postgresql" else SQLITE:
        editor.execute(statement)


class Migration(migrations.Migration):
    """After the tables."""

    dependencies = [("site", "0001_initial")]
    operations = [migrations.RunPython(forbid)]
