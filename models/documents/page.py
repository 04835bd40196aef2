"""What all paper has in common: an A4 page with the platform's head, and a foot that says which paper it is of."""

from collections.abc import Sequence
from datetime import datetime

from fpdf import FPDF
from fpdf.enums import Align, TableBordersLayout, VAlign, XPos, YPos
from fpdf.fonts import FontFace

from models.documents import fonts
from models.documents.issuer import Issuer

MEDIA_TYPE = "application/pdf"
_INK, _GREY, _ACCENT, _RULE, _PALE = (28, 33, 43), (104, 112, 124), (24, 74, 120), (208, 214, 221), (240, 244, 248)
_MARGIN = 20
_SIZE = 9.5


class Page(FPDF):
    """The same values give the same bytes: its date is the paper's, not the moment's."""

    def __init__(self, issuer: Issuer, kind: str, number: str, at: datetime, foot: str = "") -> None:
        super().__init__(format="A4")
        self._issuer = issuer
        self._kind = kind
        self._number = number
        self._foot = foot
        self.set_creation_date(at)
        self.set_title(f"{kind} {number}")
        self.set_author(fonts.shown(issuer.name))
        self.set_lang("en")
        self.set_margins(_MARGIN, 16)
        self.set_auto_page_break(True, 24)
        fonts.load(self)
        self.add_page()

    def header(self) -> None:
        self._line(self._issuer.name, 100, size=15, bold=True, colour=_ACCENT, height=8)
        self._line(self._kind, 0, size=15, align=Align.R, height=8, last=True)
        self._line(self._issuer.address, 120, size=8, colour=_GREY)
        self._line(self._number, 0, size=9, colour=_GREY, align=Align.R, last=True)
        self.rule(after=7)

    def footer(self) -> None:
        self.set_y(-17)
        self.rule(after=2)
        self._line(f"{self._kind} {self._number}", 60, size=7.5, colour=_GREY)
        self._line(self._foot, 80, size=7.5, colour=_GREY, align=Align.C)
        self._line(f"Page {self.page_no()}", 0, size=7.5, colour=_GREY, align=Align.R)

    def rule(self, after: float) -> None:
        self.ln(1.5)
        self.set_draw_color(*_RULE)
        self.line(self.l_margin, self.get_y(), self.w - self.r_margin, self.get_y())
        self.ln(after)

    def heading(self, text: str) -> None:
        self.ln(5)
        self._line(text, 0, size=11, bold=True, colour=_ACCENT, height=7, last=True)

    def note(self, text: str) -> None:
        self._face(8, False, _GREY)
        self.multi_cell(0, 4.2, self._fit(text), align=Align.L, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def sum(self, label: str, amount: str, note: str) -> None:
        """The paper's one figure, on a ground of its own."""
        top = self.get_y() + 3
        self.set_fill_color(*_PALE)
        self.rect(self.l_margin, top, self.epw, 21, style="F", round_corners=True, corner_radius=1.5)
        self.set_xy(self.l_margin + 5, top + 3)
        self._line(label, 70, size=8.5, colour=_GREY, height=5)
        self.set_xy(self.l_margin + 5, top + 8.5)
        self._line(amount, 80, size=19, bold=True, height=9)
        self.set_xy(self.l_margin + 88, top + 4)
        self._face(9, False, _INK)
        self.multi_cell(self.epw - 93, 4.6, self._fit(note), align=Align.L)
        self.set_xy(self.l_margin, top + 22)
        self.set_fill_color(255)

    def facts(self, rows: Sequence[tuple[str, str]]) -> None:
        """Names and their values, under each other."""
        self._face(_SIZE, False, _INK)
        with self.table(
            col_widths=(34, 136),
            borders_layout=TableBordersLayout.NONE,
            first_row_as_headings=False,
            text_align=Align.L,
            v_align=VAlign.T,
            line_height=5.6,
        ) as table:
            for label, value in rows:
                row = table.row()
                row.cell(self._fit(label), style=FontFace(color=_GREY))
                row.cell(self._fit(value))

    def rows(
        self,
        rows: Sequence[Sequence[str]],
        widths: Sequence[int],
        *,
        head: Sequence[str] = (),
        words: int = 1,
        last_is_sum: bool = False,
    ) -> None:
        """A table whose first `words` columns are words, the others amounts. Its head comes again on every page."""
        self._face(_SIZE, False, _INK)
        self.set_draw_color(*_RULE)
        with self.table(
            col_widths=tuple(widths),
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            first_row_as_headings=bool(head),
            headings_style=FontFace(emphasis="", color=_GREY, size_pt=8),
            text_align=tuple(Align.L if place < words else Align.R for place in range(len(widths))),
            v_align=VAlign.T,
            line_height=5.2,
            padding=(0.7, 1),
        ) as table:
            if head:
                table.row([self._fit(cell) for cell in head])
            for place, cells in enumerate(rows, start=1):
                is_sum = last_is_sum and place == len(rows)
                table.row([self._fit(cell) for cell in cells], style=FontFace(emphasis="BOLD") if is_sum else None)

    def file(self) -> bytes:
        return bytes(self.output())

    def _line(
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
        self._face(size, bold, colour)
        to_x, to_y = (XPos.LMARGIN, YPos.NEXT) if last else (XPos.RIGHT, YPos.TOP)
        self.cell(width, height, self._fit(text), align=align, new_x=to_x, new_y=to_y)

    def _face(self, size: float, bold: bool, colour: tuple[int, int, int]) -> None:
        self.set_font(fonts.TEXT, "B" if bold else "", size)
        self.set_text_color(*colour)

    def _fit(self, text: str) -> str:
        fit = fonts.shown(text)
        fonts.load_for(self, fit)
        return fit
