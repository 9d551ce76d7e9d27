"""What an S3 server or the way to it says, in our words."""

from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree.ElementTree import ParseError

from aiohttp import ClientError, ClientResponse
from miniopy_async.error import InvalidResponseError, S3Error, ServerError

from errors import ObjectMissing, StorageError, StorageFull, StorageUnavailable

MISSING = frozenset({"NoSuchKey", "NoSuchObject"})
FULL = frozenset({"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage", "QuotaExceeded"})
# Codes that come with a 4xx status and still mean "later".
BUSY = frozenset({"SlowDown", "RequestTimeout", "ServiceUnavailable", "XMinioServerNotInitialized", "OperationAborted"})
# A gateway over a file system passes ENOSPC and EDQUOT on as InternalError: only the system's own text tells them apart.
NO_ROOM_TEXTS = ("no space left on device", "disk quota exceeded")
# Full to the last block it cannot even make the folder that a put needs, and misses it a step later.
NO_ROOM_FOR_A_PUT_TEXTS = (*NO_ROOM_TEXTS, "no such file or directory")


@contextmanager
def in_our_words(key: str = "") -> Iterator[None]:
    """Turns what the client library and the connection raise into StorageError's branch."""
    try:
        yield
    except S3Error as error:
        raise s3_error(error.code, error.message, error.response.status, key) from error
    except ServerError as error:
        raise s3_error(None, None, error.status_code, key) from error
    except (InvalidResponseError, ClientError, TimeoutError, OSError, ParseError) as error:
        # InvalidResponseError: something that is not the store answered, as a proxy in front of a dead one does.
        raise StorageUnavailable from error


def s3_error(code: str | None, message: str | None, status: int, key: str) -> StorageError:
    """The error for a refusal, by S3 code first and HTTP status second."""
    if code in MISSING:
        return ObjectMissing(key=key)
    if code in FULL or status == 507 or (code == "InternalError" and _says(NO_ROOM_TEXTS, message)):
        return StorageFull()
    if code in BUSY or status >= 500:
        return StorageUnavailable(store_code=code, status=status)
    return StorageError(f"the picture store refused: {code or status}", store_code=code, status=status)


async def put_refusal(response: ClientResponse, key: str) -> StorageError:
    """The error for a put that was not taken, read from the answer's XML when it has one."""
    text = await response.text(errors="replace")
    try:
        said = S3Error.fromxml(response, text)
    except (ParseError, ValueError):
        return s3_error(None, None, response.status, key)
    if said.code == "InternalError" and _says(NO_ROOM_FOR_A_PUT_TEXTS, said.message):
        return StorageFull()
    if said.code in MISSING:  # a gateway over a file system, whose emptied folder another's delete removed just now
        return StorageUnavailable(store_code=said.code, status=response.status)
    return s3_error(said.code, said.message, response.status, key)


def _says(texts: tuple[str, ...], message: str | None) -> bool:
    return any(text in (message or "").lower() for text in texts)
