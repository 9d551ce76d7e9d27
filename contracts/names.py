"""Names that two processes must agree on: queues, workflows, activities, search attributes, notification channels."""

from uuid import UUID

MAIN_QUEUE = "diorama"
DELIVERY_QUEUE = "diorama-deliveries"  # of its own: receivers that hang must not hold up anything else

WORKFLOW_AVATAR = "diorama.Avatar"
WORKFLOW_SCENE = "diorama.Scene"
WORKFLOW_AVATAR_SCENE = "diorama.AvatarScene"
WORKFLOW_IMAGE = "diorama.Image"
WORKFLOW_ENHANCE = "diorama.Enhance"
WORKFLOW_DELETE_SESSION = "diorama.DeleteSession"
WORKFLOW_ERASE = "diorama.Erase"

WORKFLOW_TAKE_BACK = "diorama.TakeBack"
WORKFLOW_RECONCILE = "diorama.Reconcile"
WORKFLOW_DELIVER = "diorama.DeliverWebhook"

ACTIVITY_OPEN = "generation.open"
ACTIVITY_CLOSE = "generation.close"
ACTIVITY_BEGUN = "generation.begun"
ACTIVITY_REPLAN = "generation.replan"
ACTIVITY_MAKE_PICTURE = "picture.make"
ACTIVITY_UNDO_PICTURE = "picture.undo"
ACTIVITY_DELETE_SESSION = "session.delete"
ACTIVITY_ERASE = "erasure.erase"
ACTIVITY_ATTEST = "erasure.attest"
ACTIVITY_RECONCILE = "reconcile.check"
ACTIVITY_DELIVER = "webhook.deliver"

SCHEDULE_RECONCILE = "diorama-reconciler"

SEARCH_KIND = "DioramaKind"
SEARCH_TENANT = "DioramaTenant"
SEARCH_STATUS = "DioramaStatus"
SEARCH_ATTRIBUTES = (SEARCH_KIND, SEARCH_TENANT, SEARCH_STATUS)

# PostgreSQL NOTIFY channels; the payload is an id, and only a hint: rows are the truth.
CHANNEL_EVENT = "diorama_event"  # a generation got an event; payload: generation id
CHANNEL_ENDED = "diorama_ended"  # a generation has ended; payload: generation id
CHANNEL_WAKE = "diorama_wake"  # a provider sent word about a generation's job; payload: generation id
CHANNEL_DELIVERY = (
    "diorama_delivery"  # an event is to be delivered to a tenant's endpoint; payload: generation or alert id
)
CHANNEL_CANCEL = "diorama_cancel"  # a client wants to stop a generation; payload: generation id
CHANNEL_BUDGET = "diorama_budget"  # a share of a budget was reached; payload: the budget's id
CHANNEL_STANDING = "diorama_standing"  # a breaker or an operator changed how a provider stands; payload: its name


def provider_queue(provider: str) -> str:
    """The task queue on which this provider's pictures are made: its rate limit holds over the whole fleet."""
    return f"diorama-provider-{provider}"


def workflow_id(generation_id: UUID, run: int = 1) -> str:
    """One workflow per run of a generation, so that starting twice is harmless; nearly all have one run."""
    return f"generation/{generation_id}" if run == 1 else f"generation/{generation_id}/{run}"


def delivery_workflow_id(delivery_id: UUID, run: int = 1) -> str:
    """One workflow per run of a delivery; a replay by its tenant is a further run."""
    return f"delivery/{delivery_id}" if run == 1 else f"delivery/{delivery_id}/{run}"


def take_back_id(generation_id: UUID, run: int) -> str:
    """The workflow that takes back what a run left behind that was ended from outside."""
    return f"generation/{generation_id}/{run}/take-back"
