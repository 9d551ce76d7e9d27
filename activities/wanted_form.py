"""What a finished picture must be before it is kept, whatever the provider delivered."""

from dataclasses import dataclass

from contracts.pictures import AssetRef
from contracts.wishes import OutputFormat
from imaging.crop import Size
from imaging.enlargement import check_enlarged
from imaging.fit import FittedPicture, fit


@dataclass(frozen=True, slots=True)
class WantedForm:
    """Made to fit `size`, written as `output_format`; None: as it was delivered.

    `delivered`: the size that it must have when it comes, for what is paid is that size. Sizes in pixels.
    """

    size: Size | None
    output_format: OutputFormat | None = None
    delivered: Size | None = None

    def made_from(self, body: bytes) -> FittedPicture:
        """The picture in this form, every pixel of it decoded. Raises OutputCorrupt, OutputWrongSize; takes a thread's time."""
        picture = fit(body, self.size, self.output_format)
        if self.delivered is not None:
            check_enlarged((picture.width, picture.height), self.delivered)
        return picture


def enlarged(source: AssetRef, scale: int) -> Size:
    """The size of a picture that is `scale` times as large as this one."""
    return source.width * scale, source.height * scale
