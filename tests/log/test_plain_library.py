"""A plain application of the library, with nothing of the recorder, reads the log."""

from __future__ import annotations

from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.persistence import JSONTranscoder
from examples import example, kinds
from histories import History
from logs import opened, stream
from psycopg.conninfo import conninfo_to_dict

from rps.domain.correlation import Correlation
from rps.log.append import Append, Appended
from rps.log.mapper import EventMapper


class Plain(Application[UUID]):
    name = "rps"


def plain(dsn: str) -> Plain:
    settings = conninfo_to_dict(dsn)
    return Plain(
        {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "CREATE_TABLE": "n",
            "POSTGRES_DBNAME": str(settings["dbname"]),
            "POSTGRES_HOST": str(settings["host"]),
            "POSTGRES_PORT": str(settings["port"]),
            "POSTGRES_USER": str(settings["user"]),
            "POSTGRES_PASSWORD": "",
        }
    )


def test_a_plain_application_reads_the_whole_log(database: str) -> None:
    appends = History(seed=1, steps=200).appends
    for topic in kinds():
        every = example(topic, originator_id=stream(topic), originator_version=1)
        appends.append([every])
    events = [event for append in appends for event in append]
    with opened(database) as recorder:
        outcomes = recorder.append([Append(each) for each in appends])
        assert [o for o in outcomes if not isinstance(o, Appended)] == []
        application = plain(database)
        try:
            assert not isinstance(application.mapper, EventMapper)
            assert type(application.mapper.transcoder) is JSONTranscoder
            notifications = application.recorder.select_notifications(
                None, len(events) + 1
            )
            assert [n.id for n in notifications] == list(range(1, len(events) + 1))
            read = [application.mapper.to_domain_event(n) for n in notifications]
            assert read == events
        finally:
            application.close()


def test_a_plain_application_folds_a_correlation(database: str) -> None:
    history = History(seed=2, steps=300)
    with opened(database) as recorder:
        recorder.append([Append(events) for events in history.appends])
        application = plain(database)
        try:
            folded = application.repository.get(stream("R1"))
        finally:
            application.close()
    assert isinstance(folded, Correlation)
    expected = None
    for event in history.events:
        if event.originator_id == stream("R1"):
            expected = event.mutate(expected)
    assert vars(folded) == vars(expected)
    assert folded.opened
    assert folded.fields
