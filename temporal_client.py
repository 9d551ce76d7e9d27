"""connect(): one data converter for api, worker and tests, or they could not read each other."""

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import Runtime
from temporalio.service import GrpcCompression


async def connect(
    address: str, namespace: str = "default", *, runtime: Runtime | None = None, lazy: bool = False
) -> Client:
    """A client of the engine at `address` (host:port).

    `lazy` connects at the first call, so that the API can start, and accept, while the engine is away.
    """
    return await Client.connect(
        address,
        namespace=namespace,
        data_converter=pydantic_data_converter,
        runtime=runtime,
        lazy=lazy,
        # gzip costs more than it saves on a local network: 22 against 21 ms CPU a workflow, measured
        grpc_compression=GrpcCompression.NONE,
    )
