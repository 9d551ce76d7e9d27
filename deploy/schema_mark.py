"""Whether the stack's database has the newest schema, without a program that takes a second to find out."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

MIGRATIONS = Path(__file__).parents[1] / "db" / "migrations" / "versions"


@dataclass(frozen=True, slots=True)
class SchemaMark:
    """A file beside the database's own, so that it goes when they go; its text names migrations and key."""

    file: Path
    digest: str

    @property
    def is_current(self) -> bool:
        """True when these migrations were applied to this database, and this key was put in."""
        try:
            return self.file.read_text("ascii") == self.digest
        except OSError:
            return False


def schema_mark(postgres_folder: Path, *, bootstrap_key: str) -> SchemaMark:
    """The mark of the newest schema with the stack's own key."""
    found = sha256(bootstrap_key.encode())
    for migration in sorted(MIGRATIONS.glob("*.py")):
        found.update(migration.name.encode() + b"\0" + migration.read_bytes())
    return SchemaMark(file=postgres_folder / "migrated", digest=found.hexdigest())
