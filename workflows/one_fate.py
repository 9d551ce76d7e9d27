"""Works that go on at the same time and end as one: all succeed, or none goes on behind the others' backs."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from temporalio import workflow

Result = TypeVar("Result")


async def one_fate(
    works: Sequence[Coroutine[Any, Any, Result]],
    *,
    lets_others_end: Callable[[BaseException], bool],
    stop: Callable[[], None],
) -> tuple[Result, ...]:
    """The results of all works, in their order.

    When one fails, or the workflow is canceled, the others are canceled, and awaited before that failure is raised. `stop` is
    called before: from then on no work may begin anything. A failure that `lets_others_end` cancels nothing, and is the one
    that is raised in the end, whatever else fails.
    """
    tasks = [asyncio.create_task(work) for work in works]
    try:
        failures = await _until_one_fails(tasks, lets_others_end)
    except asyncio.CancelledError as canceled:
        failures = [canceled]
    stop()
    await _all_ended(tasks)
    decisive = [error for error in map(_failure, tasks) if error is not None and lets_others_end(error)]
    for error in (*decisive, *failures):
        raise error
    return tuple(task.result() for task in tasks)


async def _until_one_fails(
    tasks: Sequence[asyncio.Task[Result]], lets_others_end: Callable[[BaseException], bool]
) -> list[BaseException]:
    """Those that stopped the others, or did not let them succeed, in the order in which they came."""
    failures: list[BaseException] = []
    running = list(tasks)
    while running and all(lets_others_end(error) for error in failures):
        done, running = await workflow.wait(running, return_when=asyncio.FIRST_COMPLETED)
        failures += [error for task in done if (error := _failure(task)) is not None]
    return failures


async def _all_ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel what still runs and wait for it, although the workflow may be canceled meanwhile: the failure is told then."""
    for task in tasks:
        task.cancel()
    while not all(task.done() for task in tasks):
        try:
            await workflow.wait(tasks)
        except asyncio.CancelledError:
            workflow.logger.info("a cancel request waits until all has stopped")


def _failure(task: asyncio.Task[Any]) -> BaseException | None:
    if not task.done():
        return None
    return asyncio.CancelledError() if task.cancelled() else task.exception()
