"""All tables together: they are known only once their modules were read."""

from typing import Final

from db import models, operation_models, webhook_models
from db.columns import Table

MODULES: Final = (models, operation_models, webhook_models)
METADATA: Final = Table.metadata
