"""Lines are joined into datagrams, and never cut."""

import random

import pytest

from lyftlearn_entrypoint.relay.pack import Packer


class Out:
    """A packer, and what it sent: payloads, and how many datagrams each stands for."""

    def __init__(self, limit: int) -> None:
        self.payloads: list[bytes] = []
        self.counts: list[int] = []
        self.packer = Packer(limit, self.take)

    def take(self, payload: bytes, count: int) -> None:
        self.payloads.append(payload)
        self.counts.append(count)

    def put(self, *datagrams: bytes) -> "Out":
        for datagram in datagrams:
            self.packer.add(datagram)
        self.packer.flush()
        return self


@pytest.mark.parametrize(
    ("datagrams", "payloads", "counts"),
    [
        ([], [], []),
        ([b"a:1|c"], [b"a:1|c"], [1]),
        ([b"a:1|c", b"b:1|c"], [b"a:1|c\nb:1|c"], [2]),
        ([b"a:1|c\n"], [b"a:1|c\n"], [1]),  # alone: as it came
        ([b"a:1|c\n", b"b:1|c\n"], [b"a:1|c\nb:1|c\n"], [2]),
        ([b"12345678901234567890"], [b"12345678901234567890"], [1]),  # just fits
        ([b"1234567890", b"123456789"], [b"1234567890\n123456789"], [2]),  # as does this
        ([b"1234567890", b"1234567890"], [b"1234567890", b"1234567890"], [1, 1]),  # and this does not
        ([b"123456789012345678901"], [b"123456789012345678901"], [1]),  # one line that is too long goes as it came
        ([b"a:1|c", b"123456789012345678901", b"b:1|c"], [b"a:1|c", b"123456789012345678901", b"b:1|c"], [1, 1, 1]),
        ([b"aaaaaaaaa\nbbbbbbbbb\nccccccccc"], [b"aaaaaaaaa\nbbbbbbbbb", b"ccccccccc"], [0, 1]),  # too much, in lines that fit
        ([b"x", b"aaaaaaaaa\nbbbbbbbbb\ncccc", b"y"], [b"x", b"aaaaaaaaa\nbbbbbbbbb", b"cccc\ny"], [1, 0, 2]),
        ([b"aaaaaaaaaaaa\n\n\nbbbbbbbbbbbb\n"], [b"aaaaaaaaaaaa", b"bbbbbbbbbbbb"], [0, 1]),
    ],
)
def test_what_becomes_of_datagrams(datagrams: list[bytes], payloads: list[bytes], counts: list[int]) -> None:
    out = Out(20).put(*datagrams)
    assert (out.payloads, out.counts) == (payloads, counts)


def test_nothing_is_kept_after_a_flush_and_nothing_sent_twice() -> None:
    out = Out(20).put(b"a")
    out.packer.flush()
    assert out.put(b"b").payloads == [b"a", b"b"]


def test_the_limit_may_change() -> None:
    out = Out(5)
    out.put(b"aaa", b"bbb")
    out.packer.limit = 7
    assert out.put(b"aaa", b"bbb").payloads == [b"aaa", b"bbb", b"aaa\nbbb"]


@pytest.mark.parametrize("seed", range(20))
def test_every_line_arrives_once_whole_and_in_order(seed: int) -> None:
    chance = random.Random(seed)
    limit = chance.choice([10, 40, 200, 1432])
    lines = [b"%d:%s" % (n, b"x" * chance.choice([0, 1, 5, 30, limit - 3, limit, 2 * limit])) for n in range(300)]
    datagrams, rest = [], list(lines)
    while rest:
        some = chance.choice([1, 1, 1, 2, 7, 40])
        datagrams.append(b"\n".join(rest[:some]) + chance.choice([b"", b"\n"]))
        rest = rest[some:]
    out = Out(limit)
    for datagram in datagrams:
        out.packer.add(datagram)
        if chance.random() < 0.1:
            out.packer.flush()
    out.packer.flush()
    assert [line for payload in out.payloads for line in payload.split(b"\n") if line] == lines
    assert all(len(payload) <= limit or b"\n" not in payload.rstrip(b"\n") for payload in out.payloads)
    assert sum(out.counts) == len(datagrams)
