"""All tables together: they are known only once their modules were read."""

from typing import Final

from db import (
    compatible_models,
    models,
    money_models,
    operation_models,
    protection_models,
    standing_models,
    webhook_models,
)
from db.columns import Table

MODULES: Final = (
    models,
    compatible_models,
    money_models,
    operation_models,
    protection_models,
    standing_models,
    webhook_models,
)
METADATA: Final = Table.metadata
