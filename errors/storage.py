"""The object store."""

from errors.base import DioramaError


class StorageError(DioramaError):
    """The object store could not do what was asked."""

    code = "storage_error"
    title = "The picture store failed"
    retryable = True


class ObjectMissing(StorageError):
    """No object has this key."""

    code = "object_missing"
    title = "The stored picture is missing"
    retryable = False


class StorageUnavailable(StorageError):
    """The object store does not answer."""

    code = "storage_unavailable"
    title = "The picture store does not answer"


class StorageFull(StorageError):
    """The object store has no room left."""

    code = "storage_full"
    title = "The picture store is full"
    suggestion = "The operator must add room to the picture store."
