"""Reads the text and the fonts of a PDF."""

from io import BytesIO

from pypdf import PdfReader


def text(file: bytes) -> str:
    """pypdf reads the upper byte of the CJK font's two-byte codes as a separate NUL character."""
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(file)).pages).replace("\x00", "")


def fonts(file: bytes) -> set[str]:
    """The fonts embedded in the file."""
    return {
        font.get_object()["/BaseFont"].partition("+")[2]
        for page in PdfReader(BytesIO(file)).pages
        for font in page["/Resources"]["/Font"].values()  # type: ignore[index]
    }
