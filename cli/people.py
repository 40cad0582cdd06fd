"""`dondoc people`: who is in the directory, with which roles."""

from cli.session import Session


def people(session: Session) -> None:
    """From the log's own directory chain: who is there now, with what they hold now."""
    from embedded.keyring import person_path  # noqa: PLC0415 - not for --help

    with session.reading() as connection:
        directory = session.directory(connection)
    texts = session.texts
    now = session.now
    english = texts.language == "en"
    found = [person for _, person in sorted(directory.people.items()) if not person.left]
    session.out.document(
        [
            {
                "person": person.id,
                "title_vi": person.title_vi,
                "title_en": person.title_en,
                "roles": [{"agency": a, "role": r} for a, r in sorted(person.roles_at(now))],
                "key": directory.present.get(person.id),
                "key_here": person_path(session.home, person.id).exists(),
            }
            for person in found
        ]
    )
    session.out.table(
        ("column_person", "column_roles", "column_key_here", "column_title_of_post"),
        [
            (
                person.id,
                ", ".join(
                    f"{texts.name('role', r)} ({a})" for a, r in sorted(person.roles_at(now))
                ),
                "✓" if person_path(session.home, person.id).exists() else "",
                person.title_en if english else person.title_vi,
            )
            for person in found
        ],
    )
