"""What the command line asks the API about webhooks."""

from collections.abc import Sequence

from commands.http_client import DioramaClient, Json

ENDPOINTS = "/v1/webhook-endpoints"
DELIVERIES = "/v1/webhook-deliveries"


class WebhookCalls:
    """Webhook endpoints and deliveries, over the public API. Every method raises RequestRefused, ServerUnreachable."""

    def __init__(self, client: DioramaClient) -> None:
        self._client = client

    async def endpoints(self) -> list[Json]:
        """All endpoints of the key's tenant."""
        return list((await self._client.ask("GET", ENDPOINTS))["items"])

    async def add(self, url: str, *, description: str, events: Sequence[str]) -> Json:
        """A new endpoint, with its secret."""
        body = {"url": url, "description": description, "events": list(events)}
        return await self._client.ask("POST", ENDPOINTS, body=body)

    async def rotate(self, endpoint_id: str) -> Json:
        """The endpoint with a new secret. A request that is repeated after a lost answer replaces the secret only once."""
        endpoint = await self._client.ask("GET", f"{ENDPOINTS}/{endpoint_id}")
        body = {"replaces_version": endpoint["secret_version"]}
        return await self._client.ask("POST", f"{ENDPOINTS}/{endpoint_id}/rotate-secret", body=body)

    async def switch(self, endpoint_id: str, *, enabled: bool) -> Json:
        """The endpoint, enabled or disabled."""
        return await self._client.ask("PATCH", f"{ENDPOINTS}/{endpoint_id}", body={"enabled": enabled})

    async def delete(self, endpoint_id: str) -> None:
        """Send nothing there any more."""
        await self._client.ask("DELETE", f"{ENDPOINTS}/{endpoint_id}")

    async def deliveries(self, endpoint_id: str, *, state: str | None, limit: int) -> list[Json]:
        """The newest deliveries of an endpoint, page by page up to `limit`."""
        found: list[Json] = []
        query = {"state": state} if state else {}
        while len(found) < limit:
            asked = query | {"limit": str(min(limit - len(found), 100))}
            page = await self._client.ask("GET", f"{ENDPOINTS}/{endpoint_id}/deliveries", query=asked)
            found += page["items"]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        return found

    async def replay(self, delivery_id: str) -> Json:
        """The delivery, on its way once more."""
        return await self._client.ask("POST", f"{DELIVERIES}/{delivery_id}/replay")
