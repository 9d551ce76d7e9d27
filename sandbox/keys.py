"""The sandbox's own secrets: what signs its webhooks and what makes its output addresses unguessable."""

import base64
import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sandbox.json_text import decode, encode


@dataclass(frozen=True, slots=True)
class Keys:
    """`webhook_secret` is `whsec_<standard base64>`; the replicate client splits it at its only underscore."""

    webhook_secret: str
    address_key: bytes

    def address(self, subject: str) -> str:
        """A part of an URL that only the holder of the key can make, the same for the same subject."""
        digest = hmac.new(self.address_key, subject.encode(), sha256).digest()
        return base64.urlsafe_b64encode(digest)[:40].decode().replace("-", "a").replace("_", "b")

    @property
    def webhook_key(self) -> bytes:
        """The bytes that sign webhooks."""
        return base64.b64decode(self.webhook_secret.removeprefix("whsec_"))


def load_keys(data_dir: Path, webhook_secret: str | None) -> Keys:
    """Read the keys of this folder, making them at the first start. A given webhook secret is used instead of the stored one."""
    path = data_dir / "keys.json"
    if not path.exists():
        fresh = {
            "webhook_secret": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
            "address_key": secrets.token_hex(32),
        }
        path.touch(mode=0o600)
        path.write_bytes(encode(fresh))
    stored = decode(path.read_bytes())
    return Keys(webhook_secret or stored["webhook_secret"], bytes.fromhex(stored["address_key"]))
