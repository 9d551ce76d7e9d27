"""Pictures that clients send or point at."""

from errors.requests import RequestError


class ImageRejected(RequestError):
    """A picture that a client sent or pointed at cannot be used."""

    code = "image_rejected"
    title = "The image cannot be used"


class ImageUrlForbidden(ImageRejected):
    """The URL's scheme, port or address is not allowed."""

    code = "image_url_forbidden"
    title = "The image URL points to a place we do not fetch from"
    suggestion = "Use an https URL on a public host."


class ImageUnreachable(ImageRejected):
    """The URL did not answer with an image."""

    code = "image_unreachable"
    title = "The image URL could not be read"
    suggestion = "Check that the URL answers 200 with an image, without a login."


class ImageTooLarge(ImageRejected):
    """More bytes or pixels than the limit; a decompression bomb ends here too."""

    code = "image_too_large"
    title = "The image is too large"
    suggestion = "Send a smaller picture: fewer pixels, or a lossier format."


class ImageNotDecodable(ImageRejected):
    """The bytes are not a PNG, JPEG or WebP picture."""

    code = "image_not_decodable"
    title = "The file is not an image that we can read"
    suggestion = "Send a PNG, JPEG or WebP picture."
