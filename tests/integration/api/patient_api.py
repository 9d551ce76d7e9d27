"""`python -m tests.integration.api.patient_api`: the API's process, as `python -m api` makes it, but patient.

A PostgreSQL that is slow because its machine is busy is waited for, where an API in service soon tells its clients to come
again: 503, which is no answer that a test is after.
"""

from functools import partial

import pytest

from api import __main__ as program
from api.app import create_app
from tests.integration.api.running_api import patient_reports
from tests.integration.patience import PATIENT


def main() -> None:
    """Serve until told to stop."""
    with pytest.MonkeyPatch.context() as patched, patient_reports():
        patched.setattr(program, "create_app", partial(create_app, patience=PATIENT))
        program.main()


if __name__ == "__main__":
    main()
