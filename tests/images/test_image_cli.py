"""`lyftlearn image` where it needs no engine: which docker program builds, what it is told, what its commands are."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lyftlearn_entrypoint.cli.image import build as image_build
from lyftlearn_entrypoint.cli.image import docker as image_docker
from lyftlearn_entrypoint.cli.image import testing
from lyftlearn_entrypoint.cli.image.commands import ELSEWHERE, image


def programs(**answers: "tuple[int, str]") -> "image_docker.Run":
    """Docker programs by name: (exit code of `buildx version`, client version)."""

    def run(command: "list[str]") -> "tuple[int, str]":
        code, version = answers[command[0]]
        return (code, "") if command[1] == "buildx" else (1, version)  # no engine: it fails, and prints its version

    return run


def test_a_program_with_buildx_builds() -> None:
    assert image_docker.choose(["new"], programs(new=(0, "28.2.2"))) == "new"


def test_a_new_program_without_buildx_is_passed_over_for_an_old_one() -> None:
    """It would fall back to the builder that refuses `RUN --mount`."""
    assert image_docker.choose(["bare", "old"], programs(bare=(1, "28.2.2"), old=(1, "20.10.24+dfsg1"))) == "old"


def test_what_each_program_lacks_is_said() -> None:
    with pytest.raises(click.ClickException) as caught:
        image_docker.choose(["bare", "dead"], programs(bare=(1, "23.0.1"), dead=(127, "")))
    assert caught.value.message.startswith("no docker program with BuildKit: bare (23.0.1) has no buildx plugin; dead (does not answer)")


def test_no_program_at_all() -> None:
    with pytest.raises(click.ClickException, match="no docker program on PATH"):
        image_docker.choose([], programs())


def test_programs_are_those_on_path_that_can_be_executed(tmp_path: Path) -> None:
    for name, mode in (("one", 0o755), ("two", 0o644), ("three", 0o755)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "docker").write_text("")
        (tmp_path / name / "docker").chmod(mode)
    path = ":".join(str(tmp_path / name) for name in ("one", "two", "missing", "three", "one"))
    assert image_docker.programs({"PATH": path}) == [str(tmp_path / "one/docker"), str(tmp_path / "three/docker")]
    assert image_docker.programs({"PATH": path, "DOCKER": "/opt/docker"}) == ["/opt/docker"]


def test_build_command() -> None:
    command = image_docker.build_command("docker", "base", ["a:1", "b"], {"VERSION": "1"}, {"ca": Path("/x.pem")}, ["--no-cache"])
    assert command == [
        *("docker", "build", "--file", "images/base/Dockerfile", "--tag", "a:1", "--tag", "b", "--build-arg", "VERSION=1"),
        *("--secret", "id=ca,src=/x.pem", "--no-cache", "."),
    ]


def test_revision_says_when_files_differ_from_the_commit() -> None:
    def git(changed: str) -> "image_docker.Run":
        return lambda command: (0, "abc123") if "rev-parse" in command else (0, changed)

    assert image_docker.revision(Path(), git("")) == "abc123"
    assert image_docker.revision(Path(), git(" M x")) == "abc123-modified"
    assert image_docker.revision(Path(), lambda command: (128, "")) == "unknown"


@pytest.mark.parametrize("command", ["build", "test", "size", "lock", "reproduce", "sbom --to x", "scan"])
def test_an_unknown_image_is_named_with_those_that_there_are(tmp_path: Path, command: str) -> None:
    (tmp_path / "images/base").mkdir(parents=True)
    (tmp_path / "images/base/Dockerfile").write_text("")
    done = CliRunner().invoke(image, [*command.split(), "bas", "--checkout", str(tmp_path)])
    assert done.exit_code == 2
    assert "has no images/bas/Dockerfile; it has base" in done.output


def test_every_command_is_there() -> None:
    listed = CliRunner().invoke(image, ["--help"])
    assert listed.exit_code == 0
    for name in ("build", "test", "lock", *ELSEWHERE):
        assert f"\n  {name} " in listed.output
        asked = CliRunner().invoke(image, [name, "--help"])
        assert asked.exit_code == 0
        assert f"Usage: image {name} " in asked.output
    assert CliRunner().invoke(image, ["nothing"]).exit_code == 2


@pytest.mark.parametrize("option", ["--build-arg", "--label"])
def test_what_is_no_pair_is_refused(option: str) -> None:
    for text in ("word", "=value", ""):
        with pytest.raises(click.UsageError, match=f"{option} takes NAME=VALUE"):
            image_build.pair(option, text)
    assert image_build.pair(option, "NAME=a=b") == ("NAME", "a=b")
    assert image_build.pair(option, "NAME=") == ("NAME", "")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """dl on base, each with a test of its own; and tests that hold for both."""
    for name, below in (("base", "debian:bookworm-slim"), ("dl", "lyftlearn-base:latest")):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "Dockerfile").write_text(f"ARG BASE_IMAGE={below}\n")
    (tmp_path / "tests/images").mkdir(parents=True)
    for name in ("base_users", "dl_hosts", "dl_content", "content_run", "team_contexts", "push", "image_build"):
        (tmp_path / f"tests/images/test_{name}.py").write_text("")
    return tmp_path


def test_the_tests_of_an_image_are_its_own_and_those_of_each(checkout: Path) -> None:
    words = ("dl_content", "dl_hosts", "content_run", "team_contexts")
    assert testing.files(checkout, "dl") == [f"tests/images/test_{word}.py" for word in words]
    with pytest.raises(click.UsageError, match="has no tests/images/test_distributed_"):
        testing.files(checkout, "distributed")


@pytest.mark.parametrize(("there", "required"), [(True, "dl,base"), (False, "dl")])
def test_an_image_below_is_needed_only_where_it_is_there(checkout: Path, there: bool, required: str) -> None:
    asked: list[str] = []

    def look(tag: str) -> bool:
        asked.append(tag)
        return there

    given = {"PATH": "/bin", "LYFTLEARN_TEST_IMAGES": "none", "LYFTLEARN_TEST_IMAGE_BASE": "mine:1"}
    told = {"LYFTLEARN_TEST_IMAGES": required, "LYFTLEARN_TEST_CONTENT_OF": "dl", "LYFTLEARN_TEST_IMAGE_DL": "other:2"}
    assert testing.environment(checkout, "dl", "other:2", given, look) == {**given, **told}
    assert asked == ["mine:1"]
    assert testing.environment(checkout, "base", "", {}, look)["LYFTLEARN_TEST_IMAGE_BASE"] == "lyftlearn-base:latest"
