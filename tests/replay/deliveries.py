"""The outcomes of the delivery workflow, for the replay test."""

from uuid import UUID

from temporalio.client import Client

from tests.replay.recording import Handle, Outcome
from tests.workflows.hook_stage import DELIVERED, GONE, Answer, HookStage, refused

# The same at every recording, so that only what changed is different.
DELIVERY = UUID("019aa5e0-0000-7000-8000-000000000001")


def ended(*answers: Answer, run: int = 1, attempts: int = 0) -> Outcome:
    """Runs a delivery whose attempts come to these answers, and to refusals after them."""

    async def run_to_the_end(client: Client) -> Handle:
        async with HookStage(client, max_cached_workflows=100) as stage:
            handle = await stage.start(*answers, delivery_id=DELIVERY, run=run, attempts=attempts)
            await handle.result()
            return handle

    return run_to_the_end


# label -> runs the workflow to its end
OUTCOMES: dict[str, Outcome] = {
    "deliver_webhook-delivered": ended(DELIVERED),
    "deliver_webhook-delivered-later": ended(refused(5.0), refused(300.0), DELIVERED),
    "deliver_webhook-gone": ended(refused(5.0), GONE),
    "deliver_webhook-given-up": ended(),
    "deliver_webhook-replayed": ended(DELIVERED, run=2, attempts=10),
}
