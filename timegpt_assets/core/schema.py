"""How a table is declared: its columns with units, its key and its row rules.

Belongs here: the declaration classes and what is derived from them. The declarations are in tables/.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

TIME = pl.Datetime("us", "UTC")


class TableError(ValueError):
    """Raised when a frame does not match its table; names the table, the column or rule, and the remedy."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its dtype, what it means with its unit, and whether null is allowed."""

    dtype: pl.DataType | type[pl.DataType]
    meaning: str
    nullable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table: every frame stored under its name has these columns, this key and keeps these rules.

    ``open`` tables may carry further columns (features, configured quantiles) behind the declared ones.
    ``lineage_id`` is appended to every table and stamped when it is stored.
    """

    name: str
    columns: Mapping[str, Column]
    key: tuple[str, ...]
    rules: Mapping[str, pl.Expr] = field(default_factory=dict)
    open: bool = False

    @property
    def schema(self) -> pl.Schema:
        """Return the declared columns and dtypes, without ``lineage_id``."""
        return pl.Schema({name: column.dtype for name, column in self.columns.items()})

    def empty(self) -> pl.DataFrame:
        """Return a frame of no rows with the declared columns."""
        return pl.DataFrame(schema=self.schema)

    def conformed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the frame in declared column order, sorted by key, without undeclared columns if closed.

        Raises TableError for a missing column, another dtype, a null where none may be, or a broken rule.
        """
        if errors := self.errors(frame):
            raise TableError(
                f"table {self.name}: {'; '.join(errors)}. Mend the code that made the frame, "
                "or the declaration in core/tables/."
            )
        further = [c for c in frame.columns if c not in self.columns] if self.open else []
        return frame.select(*self.columns, *further).sort(self.key)

    def errors(self, frame: pl.DataFrame) -> list[str]:
        """Return one sentence for each way in which the frame differs from the declaration."""
        schema_errors = self._schema_errors(frame)
        return schema_errors or [f"rule {rule} broken by {n} rows" for rule, n in self.broken_rules(frame).items()]

    def _schema_errors(self, frame: pl.DataFrame) -> list[str]:
        errors = []
        for name, column in self.columns.items():
            if name not in frame.columns:
                errors.append(f"column {name} is missing")
            elif frame.schema[name] != column.dtype:
                errors.append(f"column {name} is {frame.schema[name]}, declared {column.dtype}")
        return errors

    def broken_rules(self, frame: pl.DataFrame) -> dict[str, int]:
        """Return the number of offending rows for each broken rule; an empty dict means a good frame."""
        if frame.is_empty():
            return {}
        rules = {f"{name}_not_null": pl.col(name).is_not_null() for name, c in self.columns.items() if not c.nullable}
        rules |= {
            # Whether null is allowed is the rule above; this one asks of what is there.
            f"{name}_finite": pl.col(name).is_finite().fill_null(True)
            for name, dtype in frame.schema.items()
            if dtype.is_float()
        }
        rules |= {"unique_key": pl.struct(self.key).is_duplicated().not_(), **self.rules}
        # A rule that cannot tell is broken.
        counts = frame.lazy().select((~rule.fill_null(False)).sum().alias(name) for name, rule in rules.items())
        return {name: n for name, n in counts.collect().row(0, named=True).items() if n}
