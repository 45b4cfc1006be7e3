"""For each exit code: what an engineer reads at night, on stderr and in the failure file. What was tried, what answered, what to do."""

import json
import os
from collections.abc import Callable

import pytest

from lyftlearn_local.platform import Platform
from tests.fake_http import Hang, answer, closed_port, in_turn, serve
from tests.integration.job import Bucket, Ended, Job, launcher

pytest_plugins = ["tests.integration.platform_fixture"]

Service = Callable[..., dict[str, str]]


def reads(job: Job, ended: Ended, code: int, *words: str) -> None:
    """The line and the failure file say the same, hold all the words, and end as the exit code says."""
    assert ended.code == code, ended.err
    reason = ended.line.removeprefix("lyftlearn-entrypoint: error: ").removesuffix(f" (exit {code})")
    assert reason != ended.line
    for word in words:
        assert word in reason
    assert job.failure == ("lyftlearn-entrypoint: " + reason)[:1024]
    assert ended.out == ""


# One for each code ----------------------------------------------------------------------------------------------------------


def test_64_nothing_to_run(job: Job) -> None:
    reads(job, job.run(launcher()), 64, "no command", "LYFTLEARN_COMMAND")


def test_65_a_document_that_is_not_what_it_claims(job: Job, bucket: Bucket) -> None:
    uri = bucket.put({"epochs": 3})
    ended = job.start(LYFTLEARN_HYPERPARAMETERS_URI=uri + "#sha256=" + "ab" * 32)
    reads(job, ended, 65, uri, "sha256", "abababab", "stage again")


def test_66_an_object_a_service_a_key(job: Job, service: Service) -> None:
    reads(job, job.start(LYFTLEARN_ENV_URI="s3://lyftlearn-local/absent.json"), 66, "s3://lyftlearn-local/absent.json", "404", "NoSuchKey")
    job.path("/opt/ml/output/failure").unlink()
    settings = {**service({}), "LYFTLEARN_CONFIDANT_SERVICE": "absent"}
    reads(job, job.start(**settings), 66, settings["LYFTLEARN_CONFIDANT_URL"], "service absent", "404", "LYFTLEARN_CONFIDANT_SERVICE")
    job.path("/opt/ml/output/failure").unlink()
    settings = {**service({}), "LYFTLEARN_CONFIDANT_AUTH_KEY": "alias/absent"}
    reads(job, job.start(**settings), 66, "kms:Encrypt", "alias/absent", "NotFoundException", "LYFTLEARN_CONFIDANT_AUTH_KEY")


def test_69_nobody_listens(job: Job, service: Service) -> None:
    port = closed_port()
    settings = {**service({}), "LYFTLEARN_CONFIDANT_URL": f"http://127.0.0.1:{port}", "LYFTLEARN_DEADLINE": "4"}
    reads(job, job.start(**settings), 69, f"http://127.0.0.1:{port}", "refused", "security group")


def test_69_nobody_answers(job: Job) -> None:
    with serve(lambda _: Hang()) as server:
        ended = job.start(LYFTLEARN_ENV_URI="s3://bucket/key.json", AWS_ENDPOINT_URL_S3=server.url, LYFTLEARN_DEADLINE="1")
    reads(job, ended, 69, "s3://bucket/key.json", "1 s", "LYFTLEARN_DEADLINE")
    assert ended.seconds < 9  # an answer is waited for 10 s


def test_69_what_was_answered_is_told_where_the_next_try_has_no_answer(job: Job, service: Service) -> None:
    """And whatever a thread does when the deadline passes: waits for an answer, sleeps before the next try, or wakes too late for it."""
    with serve(in_turn(answer(503), Hang())) as server:
        ended = job.start(LYFTLEARN_ENV_URI="s3://bucket/key.json", AWS_ENDPOINT_URL_S3=server.url, LYFTLEARN_DEADLINE="4")
    reads(job, ended, 69, "s3://bucket/key.json: status 503, and the deadline of 4 s leaves no time", "(1 try)", "LYFTLEARN_DEADLINE")
    job.path("/opt/ml/output/failure").unlink()
    with serve(in_turn(answer(503), Hang())) as server:
        ended = job.start(**{**service({}), "LYFTLEARN_CONFIDANT_URL": server.url, "LYFTLEARN_DEADLINE": "4"})
    reads(job, ended, 69, server.url, "it answered 503, and the deadline of 4 s leaves no time", "(1 try)", "LYFTLEARN_DEADLINE")


def test_69_no_credentials_in_time(job: Job, bucket: Bucket) -> None:
    with serve(lambda _: Hang()) as server:
        uri = server.url + "/v2/credentials/hush-1"
        ended = job.start(LYFTLEARN_ENV_URI=bucket.put({"A": "1"}), AWS_CONTAINER_CREDENTIALS_FULL_URI=uri, LYFTLEARN_DEADLINE="1.8")
    reads(job, ended, 69, f"127.0.0.1:{server.port}", "LYFTLEARN_DEADLINE", "s3://lyftlearn-local/")
    assert ended.seconds < 9  # five tries of two seconds
    assert "hush" not in ended.err


def test_77_refused(job: Job, service: Service) -> None:
    settings = {**service({}), "LYFTLEARN_CONFIDANT_AUTH_CONTEXT": "production"}
    reads(job, job.start(**settings), 77, settings["LYFTLEARN_CONFIDANT_URL"], "403", "LYFTLEARN_CONFIDANT_AUTH_KEY", "(production)")


def test_77_kms_says_no(job: Job, service: Service) -> None:
    message = "User: arn:aws:sts::123456789012:assumed-role/night/SageMaker is not authorized to perform: kms:Encrypt"
    body = json.dumps({"__type": "AccessDeniedException", "Message": message}).encode()
    with serve(lambda _: answer(400, body, {"Content-Type": "application/x-amz-json-1.1"})) as server:
        ended = job.start(**service({}), AWS_ENDPOINT_URL_KMS=server.url)
    reads(job, ended, 77, "kms:Encrypt", "AccessDeniedException", "assumed-role/night", "Allow kms:Encrypt")


def test_78_half_of_the_settings(job: Job) -> None:
    ended = job.start(LYFTLEARN_CONFIDANT_URL="https://confidant.example.com", LYFTLEARN_CONFIDANT_SERVICE="shop")
    reads(job, ended, 78, "LYFTLEARN_CONFIDANT_URL", "LYFTLEARN_CONFIDANT_AUTH_KEY", "LYFTLEARN_CONFIDANT_AUTH_CONTEXT")
    assert "LYFTLEARN_CONFIDANT_SERVICE" not in ended.line


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("LYFTLEARN_DEADLINE", "soon", "seconds"),
        ("LYFTLEARN_LOG", "xml", "text, json"),
        ("LYFTLEARN_LOG_LEVEL", "loud", "debug, info, warning, error"),
        ("LYFTLEARN_ENV_URI", "http://bucket/key", "s3://bucket/key"),
        ("LYFTLEARN_ENV_URI", "s3://bucket/key#sha256=12", "64"),
        ("LYFTLEARN_STEPS", "credentials,hyperparameter", "hyperparameters"),
        ("LYFTLEARN_CONFIDANT_URL", "confidant.example.com", "https://"),
        ("LYFTLEARN_STATSD_GATEWAY", "gateway", "host:port"),
        ("LYFTLEARN_USER", "a b", "uid:gid"),
        ("LYFTLEARN_CREDENTIALS_DIR", "secrets", "absolute"),
    ],
)
def test_78_a_bad_value_names_the_variable_or_file_and_line(job: Job, name: str, value: str, says: str) -> None:
    reads(job, job.start(**{name: value}), 78, name, says)
    job.path("/opt/ml/output/failure").unlink()
    key = name.removeprefix("LYFTLEARN_").lower()
    job.write("/etc/lyftlearn/platform.json", json.dumps({key: value, "_lines": {key: 17}}).encode())
    pointers = {pointer: None for pointer in job.environ if pointer == name}
    reads(job, job.start("/bin/true", **pointers), 78, f"{job.path('/etc/lyftlearn/platform.yaml')} line 17", key, says)


def test_126_and_127(job: Job) -> None:
    script = job.write("/tools/script", b"#!/bin/sh\n")
    script.chmod(0o644)
    reads(job, job.start(str(script)), 126, str(script), "ermission denied", "chmod")
    job.path("/opt/ml/output/failure").unlink()
    reads(job, job.start("pyhton", "train.py"), 127, "pyhton", "not found", "/usr/local/bin:/usr/bin:/bin", "spelling")
    job.path("/opt/ml/output/failure").unlink()
    reads(job, job.start("train"), 127, "train", "LYFTLEARN_TRAIN_COMMAND", "PATH")


# Where a reason goes ---------------------------------------------------------------------------------------------------------


def test_a_processing_job_has_its_reason_in_message(job: Job) -> None:
    job.processing()
    ended = job.start(LYFTLEARN_ENV_URI="s3://lyftlearn-local/" + "é" * 400 + ".json")
    assert ended.code == 66
    data = job.path("/opt/ml/output/message").read_bytes()
    assert "s3://lyftlearn-local/éé" in data.decode("utf-8")
    assert len(data) <= 1024
    assert job.failure == ""


def test_a_training_jobs_reason_has_1024_characters_at_most(job: Job) -> None:
    ended = job.start(LYFTLEARN_ENV_URI="s3://lyftlearn-local/" + "é" * 500 + "x" * 500 + ".json")
    assert ended.code == 66
    assert len(job.failure) == 1024
    assert len(ended.line) > 1024


def test_a_reason_that_is_there_is_never_overwritten(job: Job) -> None:
    job.write("/opt/ml/output/failure", b"the first one")
    assert job.start("/no/such/program").code == 127
    assert job.failure == "the first one"
    assert [path.name for path in job.path("/opt/ml/output").iterdir()] == ["failure"]


@pytest.mark.parametrize("where", ["sagemaker-transform", "sagemaker-endpoint", "studio", "kubernetes", "local"])
def test_other_contexts_get_no_file(job: Job, where: str) -> None:
    assert job.start("/no/such/program", LYFTLEARN_CONTEXT=where).code == 127
    assert list(job.path("/opt/ml/output").iterdir()) == []


def test_the_programs_own_failure_is_its_own(job: Job) -> None:
    assert job.start("/bin/sh", "-c", "exit 3").code == 3
    assert job.failure == ""


def test_two_things_that_failed_are_both_told(job: Job) -> None:
    ended = job.start(LYFTLEARN_ENV_URI="s3://lyftlearn-local/absent-1", LYFTLEARN_HYPERPARAMETERS_URI="s3://no-such-bucket-here/absent-2")
    assert ended.code == 66
    assert "absent-" in ended.line


@pytest.mark.parametrize("name", ["LYFTLEARN_ENV_URI", "LYFTLEARN_HYPERPARAMETERS_URI"])
def test_network_isolation_is_said_at_once_and_names_the_channel(job: Job, name: str) -> None:
    ended = job.start(
        **{name: "s3://bucket/key.json"}, AWS_CONTAINER_CREDENTIALS_FULL_URI=None, AWS_ENDPOINT_URL=None, AWS_EC2_METADATA_DISABLED=None
    )
    reads(job, ended, 69, "no network", "isolation", "channel named lyftlearn", "s3://bucket/key.json")
    assert ended.seconds < 10  # the deadline is 60


def test_network_isolation_with_confidant(job: Job, service: Service) -> None:
    ended = job.start(**service({}), AWS_CONTAINER_CREDENTIALS_FULL_URI=None, AWS_EC2_METADATA_DISABLED=None)
    reads(job, ended, 69, "no network", "Confidant at http", "isolation")
    assert ended.seconds < 10  # the deadline is 60


def test_studio_fails_open_with_a_warning_that_can_be_seen(job: Job, service: Service) -> None:
    job.studio()
    settings = {**service({"a": "1"}), "LYFTLEARN_CONFIDANT_SERVICE": "absent", "LYFTLEARN_ENV_URI": "s3://lyftlearn-local/absent.json"}
    ended = job.start(**settings)
    assert ended.env["LYFTLEARN_CONTEXT"] == "studio"
    warnings = [line for line in ended.err.splitlines() if "warning: " in line]
    assert [line for line in warnings if "service absent" in line and "404" in line]
    assert [line for line in warnings if "s3://lyftlearn-local/absent.json" in line]
    assert "error: " not in ended.err
    assert not [name for name in ended.env if name.startswith("CREDENTIALS_")]


def test_studio_with_half_of_the_settings_fails_open_too(job: Job) -> None:
    ended = job.studio().start(LYFTLEARN_CONFIDANT_URL="https://confidant.example.com")
    assert ended.code == 0
    assert "LYFTLEARN_CONFIDANT_AUTH_KEY" in ended.err


def test_studio_goes_on_without_what_cannot_be_carried_out(job: Job, platform: Platform, bucket: Bucket, service: Service) -> None:
    """What is found wrong only after it was fetched: two credentials for one variable, a document of numbers, a place that is a file."""
    confidant = platform.confidant
    name = "night-" + os.urandom(4).hex()
    confidant.service(name, [confidant.credential({"b_c": "hush-1"}, "a_"), confidant.credential({"c": "hush-2"}, "a_b_")])
    job.studio()
    ended = job.start(**{**service({}), "LYFTLEARN_CONFIDANT_SERVICE": name, "LYFTLEARN_ENV_URI": bucket.put({"A": 5})})
    assert "A_B_C" not in ended.env
    assert "warning: " in ended.err
    assert "A_B_C" in ended.err
    assert "A is a number" in ended.err
    assert "hush" not in ended.err
    job.write("/secrets", b"a file")
    ended = job.start(**service({"a": "1"}), LYFTLEARN_CREDENTIALS_DIR="/secrets")
    assert ended.env["CREDENTIALS_A"] == "1"
    assert str(job.path("/secrets")) in ended.err


def test_what_is_whole_arrives_in_studio_although_another_step_failed(job: Job, bucket: Bucket, service: Service) -> None:
    settings = {**service({}), "LYFTLEARN_CONFIDANT_SERVICE": "absent", "LYFTLEARN_ENV_URI": bucket.put({"A": "1"})}
    assert job.studio().start(**settings).env["A"] == "1"


def test_a_failed_start_leaves_nothing_and_the_next_one_works(job: Job, bucket: Bucket, service: Service) -> None:
    """Every step is ready but one: nothing of the others is written."""
    settings = {
        **service({"a": "1"}),
        "LYFTLEARN_ENV_URI": bucket.put({"A": "1"}),
        "LYFTLEARN_HYPERPARAMETERS_URI": bucket.put({"epochs": 3}),
        "LYFTLEARN_CREDENTIALS_DIR": "/secrets",
        "LYFTLEARN_HYPERPARAMETERS_DIR": "/etc/training",
    }
    before = job.left_behind()
    for name, value in (
        ("LYFTLEARN_ENV_URI", "s3://lyftlearn-local/absent"),
        ("LYFTLEARN_HYPERPARAMETERS_URI", "s3://lyftlearn-local/absent"),
        ("LYFTLEARN_CONFIDANT_SERVICE", "absent"),
    ):
        assert job.start(**{**settings, name: value}).code == 66
        assert job.left_behind() - before == {"opt/ml/output/failure"}
        job.path("/opt/ml/output/failure").unlink()
    first, second = job.start(**settings), job.start(**settings)
    assert first.env == second.env
    assert first.env["CREDENTIALS_A"] == first.env["A"] == "1"


def test_a_mistyped_setting_is_a_warning_with_the_nearest_right_one(job: Job) -> None:
    ended = job.start(LYFTLEARN_CONFIDENT_URL="https://confidant.example.com", LYFTLEARN_ENVURI="s3://a/b")
    assert ended.code == 0
    assert "LYFTLEARN_CONFIDENT_URL is not a setting; is LYFTLEARN_CONFIDANT_URL meant?" in ended.err
    assert "is LYFTLEARN_ENV_URI meant?" in ended.err


def test_metrics_never_stop_a_start(job: Job) -> None:
    ended = job.start(LYFTLEARN_STATSD_GATEWAY="no-such-host.invalid:8125")
    assert ended.code == 0
    assert "no-such-host.invalid" in ended.err
    assert ended.seconds < 30  # the deadline is 60


def test_a_place_that_cannot_be_written_is_said_with_the_path(job: Job, service: Service) -> None:
    job.write("/not-a-directory", b"")
    ended = job.start(**service({"a": "1"}), LYFTLEARN_CREDENTIALS_DIR="/not-a-directory/secrets")
    reads(job, ended, 78, "LYFTLEARN_CREDENTIALS_DIR", str(job.path("/not-a-directory/secrets")), "Not a directory")


def test_a_reason_needs_no_stderr(job: Job) -> None:
    """A closed one: the file and the exit code still tell."""
    ended = job.run(["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", *launcher(), "/no/such/program"])
    assert (ended.code, ended.err) == (127, "")
    assert "/no/such/program" in job.failure
