"""An image's config gets the time of SOURCE_DATE_EPOCH, and nothing else in it changes."""

import json

from lyftlearn_entrypoint.cli.image.stamp import moment, stamped

EPOCH = 1_767_225_600  # 2026-01-01T00:00:00Z


def test_times_after_the_epoch_become_the_epoch() -> None:
    """What was earlier stays, as a registry's base image says it."""
    history = [
        {"created": "2025-03-01T08:00:00Z", "comment": "Imported from -"},
        {"created": "2026-01-01T00:00:00.000000001Z", "created_by": "RUN é", "empty_layer": True},
        {"created": "2026-11-24T01:56:43.824312464Z"},
        {"created_by": "no time"},
    ]
    config = {
        "architecture": "amd64",
        "created": "2026-11-24T01:56:43.8Z",
        "history": history,
        "moby.buildkit.cache.v0": "x",
        "os": "linux",
    }
    made = json.loads(stamped(json.dumps(config).encode(), EPOCH))
    assert made["created"] == "2026-01-01T00:00:00Z"
    assert [step.get("created") for step in made["history"]] == [
        "2025-03-01T08:00:00Z",
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z",
        None,
    ]
    for step in (*made["history"], *history):
        step.pop("created", None)
    assert list(made) == list(config)
    assert {**made, "created": ""} == {**config, "created": ""}


def test_an_earlier_image_gets_the_epoch_too() -> None:
    assert json.loads(stamped(b'{"created":"2020-01-01T00:00:00Z"}', EPOCH)) == {"created": "2026-01-01T00:00:00Z"}


def test_stamping_twice_gives_the_same_bytes() -> None:
    once = stamped(b'{ "history": [{"created": "2026-11-24T01:56:43Z"}], "created": "2026-11-24T01:56:43Z" }', EPOCH)
    assert stamped(once, EPOCH) == once


def test_moment() -> None:
    assert moment(0) == "1970-01-01T00:00:00Z"
    assert moment(EPOCH + 59) == "2026-01-01T00:00:59Z"
