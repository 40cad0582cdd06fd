"""`dondoc calendar check`: the working calendar that deadlines are computed with."""

from datetime import date, timedelta
from typing import Annotated

import typer

from cli.session import Session
from domain.calendar import SpecialDay


def check(
    session: Session,
    year: Annotated[int | None, typer.Option("--year", min=1970, max=2200, help="opt_year")] = None,
) -> None:
    """Version, digest and the special days of a year, with who decided each."""
    calendar, texts, out = session.calendar, session.texts, session.out
    shown = year or calendar.local_day(session.now).year
    days = _days(shown)
    special = [row for day in days if (row := calendar.special_on(day)) is not None]
    loose = sum(not calendar.is_settled(day) for day in days)
    out.document(
        {
            "version": calendar.version,
            "digest": calendar.digest(),
            "zone": calendar.zone,
            "settled_from": calendar.settled_from.isoformat(),
            "settled_until": calendar.settled_until.isoformat(),
            "year": shown,
            "unsettled_days": loose,
            "working_days": sum(map(calendar.is_working_day, days)),
            "special": [
                {
                    "day": row.day.isoformat(),
                    "kind": row.kind,
                    "name_vi": row.name_vi,
                    "name_en": row.name_en,
                    "source": row.source,
                    "settled": calendar.is_settled(row.day),
                }
                for row in special
            ],
        }
    )
    out.line(texts("calendar_version", version=calendar.version, digest=calendar.digest()))
    out.line(
        texts(
            "calendar_settled",
            first=f"{calendar.settled_from:%d/%m/%Y}",
            last=f"{calendar.settled_until:%d/%m/%Y}",
        )
    )
    columns = ("column_day", "column_kind", "column_settled", "column_name", "column_source")
    out.table(columns, [_row(session, row) for row in special])
    if loose:
        out.line(texts("calendar_unsettled", year=shown, days=loose), "yellow")


def _days(year: int) -> list[date]:
    first = date(year, 1, 1)
    return [first + timedelta(days=n) for n in range((date(year + 1, 1, 1) - first).days)]


def _row(session: Session, row: SpecialDay) -> tuple[str, ...]:
    texts = session.texts
    settled = session.calendar.is_settled(row.day)
    return (
        f"{texts.name('weekday', str(row.day.weekday()))} {row.day:%d/%m/%Y}",
        texts.name("special", row.kind),
        "✓" if settled else texts("unsettled"),
        texts.special_day(row.name_vi, row.name_en),
        row.source,
    )
