"""One POST of a webhook to a place that a tenant named: what came back, in our words."""

import asyncio
import time
from datetime import datetime
from email.utils import parsedate_to_datetime

from activities.webhook_message import WebhookMessage
from contracts.webhooks import DeliveryTrouble
from db.columns import now
from db.delivering import Tried
from errors import HostUnreachable, UrlForbidden
from public_http.client import PublicHttp, Response

TOTAL_S = 15.0
LONGEST_RETRY_AFTER_S = 3600.0
GONE = 410
ASK_FOR_PATIENCE = {429, 503}


class WebhookPost:
    """Posts messages; no redirect is followed, and nothing of the answer's body is read."""

    def __init__(self, http: PublicHttp, *, total_s: float = TOTAL_S) -> None:
        self._http = http
        self._total_s = total_s

    async def send(self, url: str, message: WebhookMessage) -> Tried:
        """What became of it, within `total_s` seconds. Raises nothing but a cancellation."""
        begun = time.perf_counter()
        status, trouble, retry_after_s = None, None, 0.0
        try:
            async with asyncio.timeout(self._total_s):
                status, retry_after_s = await self._post(url, message)
            trouble = trouble_of(status)
        except TimeoutError:
            trouble = DeliveryTrouble.timed_out
        except UrlForbidden:
            trouble = DeliveryTrouble.url_forbidden
        except HostUnreachable:
            trouble = DeliveryTrouble.unreachable
        took_ms = round((time.perf_counter() - begun) * 1000)
        return Tried(status=status, trouble=trouble, took_ms=took_ms, retry_after_s=retry_after_s)

    async def _post(self, url: str, message: WebhookMessage) -> tuple[int, float]:
        checked = self._http.places.url(url)
        async with self._http.stream("POST", checked, message.headers, message.body) as response:
            return response.status, _asked_pause_s(response)


def trouble_of(status: int) -> DeliveryTrouble | None:
    """What an answer with this status means; None: it arrived."""
    if 200 <= status < 300:
        return None
    return DeliveryTrouble.gone if status == GONE else DeliveryTrouble.refused


def retry_after_s(header: str, moment: datetime) -> float:
    """Seconds that a Retry-After header asks for, at most an hour; 0 for one of no form."""
    if header.isdecimal():
        return min(float(header[:10]), LONGEST_RETRY_AFTER_S)
    try:
        asked = (parsedate_to_datetime(header) - moment).total_seconds()
    except (ValueError, TypeError, OverflowError):  # TypeError: a date without a zone
        return 0.0
    return min(max(asked, 0.0), LONGEST_RETRY_AFTER_S)


def _asked_pause_s(response: Response) -> float:
    if response.status not in ASK_FOR_PATIENCE:
        return 0.0
    found = [value for name, value in response.headers if name.lower() == b"retry-after"]
    return retry_after_s(found[0].decode("latin-1"), now()) if found else 0.0
