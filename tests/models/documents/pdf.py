"""A PDF, read back."""

from io import BytesIO

from pypdf import PdfReader


def text(file: bytes) -> str:
    """pypdf reads the upper half of a two-byte code of the large font as a character of its own."""
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(file)).pages).replace("\x00", "")


def fonts(file: bytes) -> set[str]:
    """The fonts of which the file has a part in it."""
    return {
        font.get_object()["/BaseFont"].partition("+")[2]
        for page in PdfReader(BytesIO(file)).pages
        for font in page["/Resources"]["/Font"].values()  # type: ignore[index]
    }
