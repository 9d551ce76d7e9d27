"""How local activities of one short transaction are tried: until the database is back."""

from datetime import timedelta

from temporalio.common import RetryPolicy

TRANSACTION = timedelta(seconds=15)
UNTIL_IT_WORKS = RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=20))
