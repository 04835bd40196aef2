"""The layout shared by all documents: A4, with the platform's header and a footer that names the document."""

from collections.abc import Sequence
from datetime import datetime

from fpdf import FPDF
from fpdf.enums import Align, TableBordersLayout, VAlign, XPos, YPos
from fpdf.fonts import FontFace

from models.documents import fonts
from models.documents.issuer import Issuer
from models.languages import LANGUAGES, SOURCE, Language

MEDIA_TYPE = "application/pdf"
_INK, _GREY, _ACCENT, _RULE, _PALE = (28, 33, 43), (104, 112, 124), (24, 74, 120), (208, 214, 221), (240, 244, 248)
_MARGIN = 20
_SIZE = 9.5


class Page(FPDF):
    """The same values give the same bytes: the creation date is the document's, not the current time.

    `text` has every character that people or the platform chose, names above all. It decides which fonts are loaded.
    """

    def __init__(
        self,
        issuer: Issuer,
        kind: str,
        number: str,
        at: datetime,
        text: str,
        footnote: str = "",
        language: Language = LANGUAGES[SOURCE],
    ) -> None:
        super().__init__(format="A4")
        self._issuer = issuer
        self._kind = kind
        self._number = number
        self._footnote = footnote
        self._language = language
        self.set_creation_date(at)
        self.set_title(f"{kind} {number}")
        self.set_author(fonts.printable(issuer.name))
        self.set_lang(language.code)
        self.set_margins(_MARGIN, 16)
        self.set_auto_page_break(True, 24)
        fonts.load(self, issuer.name + issuer.address + text)
        self.add_page()

    def header(self) -> None:
        self._write(self._issuer.name, 100, size=15, bold=True, colour=_ACCENT, height=8)
        self._write(self._kind, 0, size=15, align=Align.R, height=8, last=True)
        self._write(self._issuer.address, 120, size=8, colour=_GREY)
        self._write(self._number, 0, size=9, colour=_GREY, align=Align.R, last=True)
        self.rule(after=7)

    def footer(self) -> None:
        self.set_y(-17)
        self.rule(after=2)
        self._write(f"{self._kind} {self._number}", 60, size=7.5, colour=_GREY)
        self._write(self._footnote, 80, size=7.5, colour=_GREY, align=Align.C)
        self._write(
            self._language.gettext("Page %(number)s", number=self.page_no()), 0, size=7.5, colour=_GREY, align=Align.R
        )

    def rule(self, after: float) -> None:
        self.ln(1.5)
        self.set_draw_color(*_RULE)
        self.line(self.l_margin, self.get_y(), self.w - self.r_margin, self.get_y())
        self.ln(after)

    def heading(self, text: str) -> None:
        self.ln(5)
        self._write(text, 0, size=11, bold=True, colour=_ACCENT, height=7, last=True)

    def note(self, text: str) -> None:
        self._set_style(8, False, _GREY)
        self.multi_cell(0, 4.2, self._printable(text), align=Align.L, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def total(self, label: str, amount: str, note: str) -> None:
        """The document's main amount, highlighted, with a note beside it."""
        top = self.get_y() + 3
        self.set_fill_color(*_PALE)
        self.rect(self.l_margin, top, self.epw, 21, style="F", round_corners=True, corner_radius=1.5)
        self.set_xy(self.l_margin + 5, top + 3)
        self._write(label, 70, size=8.5, colour=_GREY, height=5)
        self.set_xy(self.l_margin + 5, top + 8.5)
        self._write(amount, 80, size=19, bold=True, height=9)
        self.set_xy(self.l_margin + 88, top + 4)
        self._set_style(9, False, _INK)
        self.multi_cell(self.epw - 93, 4.6, self._printable(note), align=Align.L)
        self.set_xy(self.l_margin, top + 22)
        self.set_fill_color(255)

    def fields(self, rows: Sequence[tuple[str, str]]) -> None:
        """Labels and their values, one pair per line."""
        for label, value in rows:
            self._write(label, 34, size=_SIZE, colour=_GREY, height=5.6)
            self._set_style(_SIZE, False, _INK)
            self.multi_cell(0, 5.6, self._printable(value), align=Align.L, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def rows(
        self,
        rows: Sequence[Sequence[str]],
        widths: Sequence[int],
        *,
        headings: Sequence[str] = (),
        text_columns: int = 1,
        last_is_total: bool = False,
    ) -> None:
        """A table whose first `text_columns` columns are text, the others amounts. Headings repeat on every page."""
        self._set_style(_SIZE, False, _INK)
        self.set_draw_color(*_RULE)
        with self.table(
            col_widths=tuple(widths),
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            first_row_as_headings=bool(headings),
            headings_style=FontFace(emphasis="", color=_GREY, size_pt=8),
            text_align=tuple(Align.L if column < text_columns else Align.R for column in range(len(widths))),
            v_align=VAlign.T,
            line_height=5.2,
            padding=(0.7, 1),
        ) as table:
            if headings:
                table.row([self._printable(cell) for cell in headings])
            for number, cells in enumerate(rows, start=1):
                is_total = last_is_total and number == len(rows)
                table.row(
                    [self._printable(cell) for cell in cells], style=FontFace(emphasis="BOLD") if is_total else None
                )

    def file(self) -> bytes:
        return bytes(self.output())

    def _write(
        self,
        text: str,
        width: float,
        *,
        size: float,
        bold: bool = False,
        colour: tuple[int, int, int] = _INK,
        align: Align = Align.L,
        height: float = 5,
        last: bool = False,
    ) -> None:
        self._set_style(size, bold, colour)
        to_x, to_y = (XPos.LMARGIN, YPos.NEXT) if last else (XPos.RIGHT, YPos.TOP)
        self.cell(width, height, self._printable(text), align=align, new_x=to_x, new_y=to_y)

    def _set_style(self, size: float, bold: bool, colour: tuple[int, int, int]) -> None:
        self.set_font(fonts.TEXT, "B" if bold else "", size)
        self.set_text_color(*colour)

    def _printable(self, text: str) -> str:
        printable = fonts.printable(text)
        fonts.load_for(self, printable)
        return printable
