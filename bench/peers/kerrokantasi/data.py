# Run by kerrokantasi's own `manage.py shell`: 200 open hearings, each with a label, a main section and some comments.
# Nothing where there are hearings already.
from datetime import timedelta
from typing import Any

from democracy.models import (  # type: ignore[import-not-found] # theirs, as is Django
    Hearing,
    Label,
    Section,
    SectionComment,
    SectionType,
)
from django.utils.timezone import now  # type: ignore[import-not-found] # likewise


def in_finnish(row: Any, **texts: str) -> Any:  # any of their models
    row.set_current_language("fi")
    for name, text in texts.items():
        setattr(row, name, text)
    row.save()
    return row


main = SectionType.objects.get(identifier="main")
labels = [in_finnish(Label(), label=f"Theme {n}") for n in range(1, 11)]
for n in range(1, 201 if not Hearing.objects.exists() else 1):
    hearing = in_finnish(
        Hearing(
            open_at=now() - timedelta(days=n), close_at=now() + timedelta(days=30), published=True, slug=f"idea-{n}"
        ),
        title=f"Idea {n}: benches, bicycles and lights by the shore",
        borough=f"District {1 + n % 10}",
    )
    hearing.labels.add(labels[n % 10])
    why = "Why this would be good for everybody who lives here. " * 5
    section = in_finnish(Section(hearing=hearing, type=main), title="What", abstract="In short.", content=why)
    for _ in range(n % 5):
        SectionComment.objects.create(section=section, content="Good.")
    hearing.recache_n_comments()
