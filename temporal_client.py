"""connect(): one data converter for api, worker and tests, or they could not read each other."""

from dataclasses import replace
from typing import Final

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.runtime import Runtime
from temporalio.service import GrpcCompression, RPCError, RPCStatusCode

from contracts.key_ring import KeyRing
from engine.payload_codec import EncryptedPayloads

PLAIN: Final = pydantic_data_converter


def data_converter(payload_keys: KeyRing | None) -> DataConverter:
    """What turns our contracts into the engine's payloads and back; with keys, nobody else can read them.

    Failures are encrypted with the rest: their messages and stack traces are payloads then, too.
    """
    if payload_keys is None:
        return PLAIN
    return replace(
        PLAIN,
        payload_codec=EncryptedPayloads(payload_keys),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


async def connect(
    address: str,
    namespace: str = "default",
    *,
    converter: DataConverter = PLAIN,
    runtime: Runtime | None = None,
    lazy: bool = False,
) -> Client:
    """A client of the engine at `address` (host:port). `converter`: see data_converter().

    `lazy` connects at the first call, so that the API can start, and accept, while the engine is away.
    """
    return await Client.connect(
        address,
        namespace=namespace,
        data_converter=converter,
        runtime=runtime,
        lazy=lazy,
        # gzip costs more than it saves on a local network: 22 against 21 ms CPU a workflow, measured
        grpc_compression=GrpcCompression.NONE,
    )


async def ensure_search_attributes(client: Client, keywords: tuple[str, ...]) -> None:
    """Register the keyword search attributes that are missing.

    Without them every workflow task that sets one is refused, and the run stands still without failing.
    """
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    missing = [name for name in keywords if name not in known.custom_attributes]
    if not missing:
        return
    kind = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=dict.fromkeys(missing, kind))
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:  # another worker was quicker
            raise
