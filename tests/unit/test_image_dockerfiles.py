"""What every Dockerfile of this checkout keeps to, so that the oldest engine in use and a plain `docker build` make the same image."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = sorted(ROOT.glob("images/*/Dockerfile"))
ALL = [*OURS, *sorted(ROOT.glob("examples/**/Dockerfile"))]


def instructions(text: str) -> "list[str]":
    """Each instruction in one line, without comments."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [line.strip() for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines() if line.strip()]


# What BuildKit of Docker Engine 20.10 does not know, or asks a registry for. Source: its release notes, and tried there.
TOO_NEW = {
    "a heredoc": r"^(?:RUN|COPY|ADD)\b.*<<-?[\"']?[A-Za-z_]",
    "--link": r"^(?:COPY|ADD) .*--link\b",
    "--parents or --exclude": r"^COPY .*--(?:parents|exclude)\b",
    "--checksum or --keep-git-dir": r"^ADD .*--(?:checksum|keep-git-dir)\b",
    "--network or --security": r"^RUN .*--(?:network|security)=",
    "--start-interval": r"^HEALTHCHECK .*--start-interval",
    "a secret as a variable": r"^RUN .*--mount=type=secret\S*,env=",
    "a variable's pattern": r"^[A-Z]+ .*(?<!\\)\$\{\w+(?:##?|%%?|/)",
}


def too_new(text: str) -> "list[str]":
    # A directive stands before everything else.
    first = text.lstrip().partition("\n")[0]
    found = ["# syntax"] if re.match(r"#\s*(?:syntax|check)\s*=", first) else []
    # In RUN and CMD the shell takes variables apart; elsewhere BuildKit does.
    by_shell = r"^(?:RUN|CMD|ENTRYPOINT|SHELL|HEALTHCHECK)\b"
    for line in instructions(text):
        found += [
            what
            for what, pattern in TOO_NEW.items()
            if re.search(pattern, line) and not (what == "a variable's pattern" and re.match(by_shell, line))
        ]
    return found


@pytest.mark.parametrize("dockerfile", ALL, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_what_buildkit_of_20_10_knows(dockerfile: Path) -> None:
    assert too_new(dockerfile.read_text()) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("# syntax=docker/dockerfile:1\nFROM x", "# syntax"),
        ("FROM x\nRUN <<EOF\necho\nEOF", "a heredoc"),
        ("FROM x\nCOPY <<-'END' /x\nEND", "a heredoc"),
        ("FROM x\nCOPY --chmod=755 \\\n  --link a b", "--link"),
        ("FROM x\nRUN --network=none true", "--network or --security"),
        ("FROM x\nRUN --mount=type=secret,id=a,env=A true", "a secret as a variable"),
        ("ARG V=1.2\nFROM x:${V%%.*}", "a variable's pattern"),
    ],
)
def test_such_a_thing_would_be_found(text: str, what: str) -> None:
    assert too_new(text) == [what]


def test_what_looks_like_it() -> None:
    text = "# about heredocs: RUN <<EOF\n# syntax=x\nFROM x\nRUN echo ${A%%.*} $((1<<3)) # --link\n"
    text += "COPY --from=a --chmod=755 /link b\nENV A=${B:-c}\n"
    assert too_new(text) == []


def test_one_time_for_all() -> None:
    """SOURCE_DATE_EPOCH's default is in the Dockerfiles; the layer below them is made with the same."""
    files = [*OURS, ROOT / "scripts/base-layer"]
    found = {match for path in files for match in re.findall(r"SOURCE_DATE_EPOCH(?:=|:-)(\d+)", path.read_text())}
    assert len(found) == 1


@pytest.mark.parametrize("dockerfile", OURS, ids=lambda path: path.parent.name)
def test_labels(dockerfile: Path) -> None:
    """`created` is the config's own, and `source` is for who builds: `--label org.opencontainers.image.source=URL`."""
    labels = dict(re.findall(r"org\.opencontainers\.image\.([a-z.]+)=\"([^\"]*)\"", dockerfile.read_text()))
    assert labels["title"] == f"lyftlearn-{dockerfile.parent.name}"
    assert (labels["version"], labels["revision"], labels["base.name"]) == ("${VERSION}", "${REVISION}", "${BASE_IMAGE}")
    assert labels["licenses"] == "Apache-2.0"
    assert len(labels["description"]) > 20
