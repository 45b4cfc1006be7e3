"""What a lazy pull fetches: spans of 4 MiB, and small layers whole."""

import pytest

from lyftlearn_entrypoint.cli.footprint.spans import SPAN, Fetched, Weight, fetched, merged, pages, total, touched

MIB = 1 << 20


@pytest.mark.parametrize(
    ("ranges", "grain", "end", "made"),
    [
        ([], 1, None, []),
        ([(5, 7), (0, 3)], 1, None, [(0, 3), (5, 7)]),
        ([(0, 3), (3, 5), (4, 9)], 1, None, [(0, 9)]),
        ([(0, 9), (2, 3)], 1, None, [(0, 9)]),
        ([(5, 5)], 1, None, []),
        ([(4095, 4097)], 4096, None, [(0, 8192)]),
        ([(0, 1), (4096, 4097)], 4096, 5000, [(0, 5000)]),
        ([(8192, 12288)], 4096, 5000, []),
    ],
)
def test_merged(ranges: "list[tuple[int, int]]", grain: int, end: "int | None", made: "list[tuple[int, int]]") -> None:
    assert merged(ranges, grain, end) == made


def test_pages_and_bytes() -> None:
    assert pages([(0, 8192), (12288, 12300)]) == 3
    assert total([(0, 8192), (12288, 12300)]) == 8204


@pytest.mark.parametrize(
    ("ranges", "numbers"),
    [
        ([], set()),
        ([(0, 1)], {0}),
        ([(SPAN - 1, SPAN)], {0}),
        ([(SPAN - 1, SPAN + 1)], {0, 1}),
        ([(SPAN, 3 * SPAN)], {1, 2}),
        ([(7, 7)], set()),
    ],
)
def test_touched(ranges: "list[tuple[int, int]]", numbers: "set[int]") -> None:
    assert touched(ranges) == numbers


def test_a_span_is_fetched_once_and_the_last_is_short() -> None:
    weight = Weight(25 * MIB)
    assert weight.spans == 7
    assert fetched(weight, [(0, 10), (MIB, 2 * MIB)]) == Fetched(1, 4 * MIB, 0)
    assert fetched(weight, [(24 * MIB, 24 * MIB + 1)]) == Fetched(1, MIB, 0)
    assert fetched(weight, [(0, 25 * MIB)]) == Fetched(7, 25 * MIB, 0)
    assert fetched(weight, []) == Fetched(0, 0, 0)


def test_a_small_layer_is_fetched_whole_whatever_is_touched() -> None:
    assert fetched(Weight(9 * MIB, eager=True), []) == Fetched(3, 9 * MIB, 0)
    assert fetched(Weight(12 * MIB, (3 * MIB, 5 * MIB, 9 * MIB), eager=True), [(0, 1)]) == Fetched(3, 12 * MIB, 9 * MIB)
    assert fetched(Weight(9 * MIB), []) == Fetched(0, 0, 0)


def test_compressed_bytes_are_those_of_the_spans() -> None:
    weight = Weight(13 * MIB, (4 * MIB, 9 * MIB, 11 * MIB, 12 * MIB))
    assert weight.compressed == 12 * MIB
    assert fetched(weight, [(0, 1), (SPAN, SPAN + 1)]) == Fetched(2, 8 * MIB, 9 * MIB)
    assert fetched(weight, [(12 * MIB, 13 * MIB)]) == Fetched(1, MIB, MIB)
