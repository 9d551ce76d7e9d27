"""Looks at the servers that the settings lead to: the database, the engine, the store. Reads only."""

import asyncio
from urllib.parse import urlsplit

import aiohttp
from miniopy_async.api import Minio
from miniopy_async.error import MinioException
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from config import Settings
from db.migrate import revisions
from deploy.finding import Finding, ok, problem
from deploy.temporal import SEARCH_ATTRIBUTES
from temporal_client import connect

# A server that takes longer is as good as away.
TIMEOUT_S = 5.0
START_IT = "Start it, or correct the address; `diorama up` starts all servers on this machine."


async def check_database(settings: Settings) -> list[Finding]:
    """Reachable, and its schema the newest."""
    url = make_url(settings.database_url)
    where = f"{url.host}:{url.port or 5432}/{url.database}"
    try:
        async with asyncio.timeout(TIMEOUT_S):
            current, newest = await revisions(settings.database_url)
    except (OSError, TimeoutError, SQLAlchemyError) as trouble:
        return [problem(f"The database at {where} cannot be used", _first_line(trouble), START_IT)]
    if current != newest:
        why = f"It is at {current or 'nothing'}, the newest is {newest}."
        return [problem(f"The database at {where} lacks migrations", why, "Run `diorama migrate`.")]
    return [ok(f"The database at {where} answers", f"Its schema is the newest ({current}).")]


async def check_engine(settings: Settings) -> list[Finding]:
    """Reachable, and the namespace there with our search attributes."""
    address, namespace = settings.temporal_address, settings.temporal_namespace
    try:
        async with asyncio.timeout(TIMEOUT_S):
            client = await connect(address, namespace)
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=namespace))
            missing = await _missing_attributes(client)
    except RPCError as refusal:
        if refusal.status == RPCStatusCode.NOT_FOUND:
            todo = f"temporal operator namespace create --namespace {namespace}"
            return [problem(f"Temporal has no namespace {namespace}", f"{address} answered so.", todo)]
        return [problem(f"Temporal at {address} refuses", _first_line(refusal), START_IT)]
    except (OSError, TimeoutError, RuntimeError) as trouble:  # RuntimeError: the SDK cannot connect
        return [problem(f"Temporal at {address} cannot be reached", _first_line(trouble), START_IT)]
    if missing:
        todo = "temporal operator search-attribute create " + " ".join(
            f"--name {name} --type Keyword" for name in missing
        )
        why = f"Not registered: {', '.join(missing)}. Starting a generation would be refused."
        return [problem(f"Temporal's namespace {namespace} lacks search attributes", why, todo)]
    return [ok(f"Temporal at {address} answers", f"The namespace {namespace} is ready.")]


async def _missing_attributes(client: Client) -> list[str]:
    request = ListSearchAttributesRequest(namespace=client.namespace)
    answer = await client.operator_service.list_search_attributes(request)
    return [name for name in SEARCH_ATTRIBUTES if name not in answer.custom_attributes]


async def check_store(settings: Settings) -> list[Finding]:
    """Reachable with our keys, and the bucket there."""
    url = urlsplit(settings.store_endpoint)
    secret = settings.store_secret_key.get_secret_value()
    bucket = settings.store_bucket
    limits = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        secure = url.scheme == "https"
        client = Minio(url.netloc, settings.store_access_key, secret, secure=secure, region="us-east-1")
        async with aiohttp.ClientSession(timeout=limits) as session:
            client.set_session(session)
            exists = await client.bucket_exists(bucket)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as trouble:
        return [problem(f"The store at {url.netloc} cannot be reached", _first_line(trouble), START_IT)]
    except MinioException as refusal:
        todo = "Check DIORAMA_STORE_ACCESS_KEY, DIORAMA_STORE_SECRET_KEY and the address."
        return [problem(f"The store at {url.netloc} refuses", _first_line(refusal), todo)]
    if not exists:
        why = "The API and the worker make it when they start."
        return [ok(f"The store at {url.netloc} answers; the bucket {bucket} is not there yet", why)]
    return [ok(f"The store at {url.netloc} answers", f"The bucket {bucket} is there.")]


def _first_line(trouble: BaseException) -> str:
    text = str(trouble).strip() or type(trouble).__name__
    return text.splitlines()[0]
