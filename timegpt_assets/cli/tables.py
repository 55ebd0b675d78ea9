"""Tables that lose nothing: as wide as the terminal, stacked where that is too narrow, and lines of tabs in a pipe.

Belongs here: how a table is laid out. What stands in it is said by whoever fills it; the console is terminal.py.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table as Grid
from rich.text import Text

from timegpt_assets.cli.terminal import Terminal, printable

GAP = 2
"""Blanks between columns, and before the lines of a stacked row."""
NUMBER = re.compile(r"[-+]?[\d,.]+ ?[%x]?|[–-]?")


@dataclass(frozen=True)
class Row:
    """The cells of one row, and how all of them are coloured."""

    cells: Sequence[Text]
    style: str = ""


@dataclass
class Table:
    """Rows of text under named columns; no cell is ever cut.

    On a terminal: wrapped between words where every word fits, else a block of lines for each row. In a pipe: a line
    for each row, cells parted by tabs, after a line of names and one with the title that starts with ``#``.
    """

    columns: Sequence[str]
    title: str = ""
    rows: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Have names and title printable: a file may name them."""
        self.columns, self.title = [printable(name) for name in self.columns], printable(self.title)

    def add(self, *cells: object, style: str = "") -> None:
        """Add a row; a cell is a ``Text``, or whatever it is written as."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for the columns {', '.join(self.columns)}. Give each its own.")
        self.rows.append(Row([cell if isinstance(cell, Text) else _text(str(cell)) for cell in cells], style))

    def __rich_console__(self, console: Terminal, options: ConsoleOptions) -> Iterator[RenderableType | Segment]:
        """Yield the lines, as this console can show them."""
        if not console.is_screen:
            yield from self._lines()
            return
        if self.title:
            yield Text(self.title, "bold")
        widths = self._widths(options.max_width)
        yield from self._blocks(console, options.max_width) if widths is None else self._grid(widths, options)
        yield Text("")

    def _lines(self) -> Iterator[Segment]:
        if self.title:
            yield Segment(f"# {_flat(self.title)}\n")
        for cells in (self.columns, *([cell.plain for cell in row.cells] for row in self.rows)):
            yield Segment("\t".join(map(_flat, cells)) + "\n")

    def _widths(self, room: int) -> list[int] | None:
        """Return the width of each column, at least its longest word; None where the words do not fit side by side."""
        texts = [[name, *(row.cells[i].plain for row in self.rows)] for i, name in enumerate(self.columns)]
        natural = [max(cell_len(line) for text in column for line in text.split("\n")) for column in texts]
        least = [max((cell_len(word) for text in column for word in text.split()), default=0) for column in texts]
        over = sum(natural) + GAP * (len(natural) - 1) - room
        if sum(least) + GAP * (len(least) - 1) > room:
            return None
        for _ in range(max(0, over)):
            # the widest that can still give: what is short stays on one line
            i = max(range(len(natural)), key=lambda i: (natural[i] > least[i], natural[i]))
            natural[i] -= 1
        return natural

    def _grid(self, widths: Sequence[int], options: ConsoleOptions) -> Iterator[RenderableType]:
        grid = Grid.grid(padding=(0, GAP, 0, 0))
        for i, width in enumerate(widths):
            figures = all(NUMBER.fullmatch(line) for row in self.rows for line in row.cells[i].plain.split("\n"))
            grid.add_column(width=width, justify="right" if figures and self.rows else "left", overflow="fold")
        grid.add_row(*(Text(name, "bold") for name in self.columns))
        grid.add_row(*(Text(("-" if options.ascii_only else "─") * width, "dim") for width in widths))
        tall = any(
            "\n" in cell.plain or cell_len(cell.plain) > width
            for row in self.rows
            for cell, width in zip(row.cells, widths, strict=True)
        )
        for n, row in enumerate(self.rows):
            if tall and n:
                grid.add_row()  # else nobody sees where a row of several lines ends
            grid.add_row(*row.cells, style=row.style)
        yield grid

    def _blocks(self, console: Terminal, room: int) -> Iterator[RenderableType | Segment]:
        """Yield each row as its first cell, and under it a line ``name  value`` for every other that says something."""
        named = max((cell_len(_flat(name)) for name in self.columns[1:]), default=0) + GAP
        for row in self.rows:
            yield from _wrapped(row.cells[0], "", console, room, row.style or "bold")
            for name, cell in zip(self.columns[1:], row.cells[1:], strict=True):
                if cell.plain.strip():
                    yield from _wrapped(cell, " " * GAP + _flat(name).ljust(named), console, room, row.style)


def _text(said: str) -> Text:
    """Return a cell of these words; blanks around them would count as part of a word where it is wrapped."""
    return Text("\n".join(line.strip() for line in printable(said).split("\n")))


def _wrapped(cell: Text, before: str, console: Terminal, room: int, style: str) -> Iterator[Segment]:
    """Yield the cell after a word before its first line; a word longer than the line is left to the terminal."""
    own = room - cell_len(before)
    longest = max((cell_len(word) for word in cell.plain.split()), default=0)
    if longest > own:  # under its name: there is more room, and a path of one piece can be copied
        yield Segment(before.rstrip() + "\n") if before.strip() else Segment("")
        before, own = " " * 2 * GAP if before else "", max(room - 2 * GAP, longest)
    for line in cell.wrap(console, own, overflow="fold"):
        shown = Text.assemble((before, "dim"), line, style=style)
        yield from shown.render(console, end="\n")
        before = " " * cell_len(before)


def _flat(text: str) -> str:
    """Return the text as one cell of one line."""
    return ", ".join(part.strip() for part in text.replace("\t", " ").split("\n") if part.strip())
