"""The files API."""

import hmac
from dataclasses import dataclass
from typing import Final

from sandbox.answers import Answer, json_answer
from sandbox.forms import NotAForm, read_form
from sandbox.json_text import decode
from sandbox.keys import Keys
from sandbox.replicate.errors import not_found, problem, validation_failed
from sandbox.replicate.files import MAX_BYTES, FileShelf, UploadedFile
from sandbox.wire import Call, Refusal

LONGEST_NAME_BYTES: Final = 255


@dataclass(frozen=True, slots=True)
class FileRoutes:
    """The handlers."""

    api_url: str
    shelf: FileShelf
    keys: Keys

    async def create(self, call: Call) -> Answer:
        """POST /v1/files: multipart, the file in `content`, JSON in `metadata`."""
        try:
            fields, parts = await read_form(call.request)
            part = next(part for part in parts if part.field == "content")
        except (NotAForm, StopIteration) as error:
            raise Refusal(validation_failed("- content is required\n")) from error
        if len(part.content) > MAX_BYTES:
            return problem(413, "Files must be less than 100MB in size")
        metadata_part = next((other.content for other in parts if other.field == "metadata"), None)
        try:
            metadata = decode(metadata_part or fields.get("metadata") or "{}")
        except ValueError as error:
            raise Refusal(validation_failed("- metadata must be valid JSON\n")) from error
        name = fields.get("filename") or part.filename or "file"
        if len(name.encode()) > LONGEST_NAME_BYTES:
            return validation_failed("- filename must be at most 255 bytes\n")
        file = self.shelf.add(name, fields.get("type") or part.content_type, part.content, metadata)
        return json_answer(file.as_json(self.api_url), 201)

    async def list(self, _: Call) -> Answer:
        """GET /v1/files, newest first."""
        results = [file.as_json(self.api_url) for file in self.shelf.newest_first()]
        return json_answer({"next": None, "previous": None, "results": results})

    async def get(self, call: Call) -> Answer:
        """GET /v1/files/{id}."""
        return json_answer(self._file(call).as_json(self.api_url))

    async def delete(self, call: Call) -> Answer:
        """DELETE /v1/files/{id}."""
        self.shelf.delete(self._file(call))
        return Answer(204)

    async def download(self, call: Call) -> Answer:
        """GET /v1/files/{id}/download?owner&expiry&signature: needs no token, only the signature of `download_signature`."""
        file = self._file(call)
        query = call.request.query_params
        expected = download_signature(self.keys, query.get("owner", ""), query.get("expiry", ""), file.id)
        expiry = query.get("expiry", "")
        if not hmac.compare_digest(expected, query.get("signature", "")):
            return problem(403, "Invalid signature")
        if not expiry.isdecimal() or int(expiry) < call.now:
            return problem(403, "The download link has expired")
        return Answer(200, self.shelf.content(file.id) or b"", file.content_type)

    def _file(self, call: Call) -> UploadedFile:
        file = self.shelf.get(call.path["id"])
        if file is None:
            raise Refusal(not_found())
        return file


def download_signature(keys: Keys, owner: str, expiry: str, file_id: str) -> str:
    """What signs a download link: owner, expiry (seconds since the epoch) and file id."""
    return keys.address(f"{owner} {expiry} {file_id}")
