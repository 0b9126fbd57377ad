"""Credentials the AWS way."""

import json
import os
import sys
import traceback
from pathlib import Path

import pytest

from imgdata.errors import CredentialsError, ImgdataError, StorageError
from imgdata.storage.aws import find_account
from imgdata.testing.servers import free_port


@pytest.fixture
def aws() -> Path:
    """The folder ~/.aws of the test's own home."""
    folder = Path(os.environ["HOME"]) / ".aws"
    folder.mkdir()
    return folder


def secret_of(profile: str | None) -> str:
    return str(find_account(profile, "s3://lab").provider()["secret_access_key"])


def keys(secret: str) -> str:
    return f"aws_access_key_id = id-of-{secret}\naws_secret_access_key = {secret}\n"


def test_a_named_profile_wins_over_the_environment(
    aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (aws / "credentials").write_text(f"[default]\n{keys('d')}[lab]\n{keys('l')}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "e")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "e")
    assert secret_of("lab") == "l"
    assert secret_of(None) == "e"


def test_without_keys_in_the_environment_its_profile_then_the_default_one_is_used(
    aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (aws / "credentials").write_text(f"[default]\n{keys('d')}[lab]\n{keys('l')}")
    assert secret_of(None) == "d"
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert secret_of(None) == "l"


def test_a_profile_may_be_in_either_file_and_in_both(aws: Path) -> None:
    (aws / "config").write_text(
        "[profile lab]\nregion = eu-central-1\nendpoint_url = https://minio\n"
        "s3 =\n  max_concurrent_requests = 20\n"
        f"[profile only-config]\n{keys('c')}[sso-session x]\nsso_region = y\n"
    )
    (aws / "credentials").write_text(f"[lab]\n{keys('l')}aws_session_token = t")
    account = find_account("lab", "s3://lab")
    assert (account.region, account.endpoint_url) == ("eu-central-1", "https://minio")
    assert account.provider().get("token") == "t"
    assert secret_of("only-config") == "c"
    with pytest.raises(CredentialsError, match="no profile 'sso-session x'"):
        find_account("sso-session x", "s3://lab")


def test_the_files_may_be_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").write_text(f"[lab]\n{keys('l%d')}")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "mine"))
    assert secret_of("lab") == "l%d"


def test_an_unknown_profile_names_the_known_ones(aws: Path) -> None:
    (aws / "credentials").write_text(f"[default]\n{keys('d')}[lab]\n{keys('l')}")
    with pytest.raises(CredentialsError, match="no profile 'lap'") as caught:
        find_account("lap", "s3://lab")
    assert "default, lab" in caught.value.cause
    assert "aws configure --profile lap" in caught.value.remedy


def test_no_credentials_at_all_say_what_to_do() -> None:
    with pytest.raises(CredentialsError, match="no credentials were found for s3://lab") as caught:
        find_account(None, "s3://lab")
    assert "aws configure" in caught.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        "no section\nTOPSECRET\n",
        "[lab\naws_secret_access_key = TOPSECRET",
        b"[lab]\n\xff TOPSECRET",
    ],
)
def test_a_file_that_cannot_be_read_is_told_without_its_lines(aws: Path, text: str | bytes) -> None:
    (aws / "credentials").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ImgdataError) as caught:
        find_account("lab", "s3://lab")
    told = "".join(traceback.format_exception(caught.value)) + caught.value.cause
    assert "TOPSECRET" not in told


def test_a_process_that_prints_credentials_is_run(aws: Path, tmp_path: Path) -> None:
    answer = {"Version": 1, "AccessKeyId": "id", "SecretAccessKey": "from process"}
    script = tmp_path / "credentials.py"
    script.write_text(f"print({json.dumps(json.dumps(answer))})")
    (aws / "config").write_text(f"[profile lab]\ncredential_process = {sys.executable} {script}\n")
    assert secret_of("lab") == "from process"


def test_a_process_that_fails_is_told_without_its_output(aws: Path) -> None:
    (aws / "config").write_text(
        "[profile lab]\ncredential_process = sh -c 'echo TOPSECRET >&2; exit 3'\n"
    )
    with pytest.raises(CredentialsError, match="no credentials could be had") as caught:
        find_account("lab", "s3://lab")
    told = "".join(traceback.format_exception(caught.value)) + caught.value.cause
    assert "TOPSECRET" not in told


def test_a_single_sign_on_that_is_not_logged_in_says_how(aws: Path) -> None:
    (aws / "config").write_text(
        "[profile lab]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n"
        "sso_account_id = 123456789012\nsso_role_name = reader\nregion = eu-west-1\n"
    )
    with pytest.raises(CredentialsError) as caught:
        find_account("lab", "s3://lab")
    assert "aws sso login --profile lab" in caught.value.remedy


def test_a_role_whose_server_cannot_be_reached_is_no_question_of_a_login(
    aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (aws / "credentials").write_text(f"[base]\n{keys('b')}")
    (aws / "config").write_text(
        "[profile lab]\nrole_arn = arn:aws:iam::123456789012:role/reader\n"
        "source_profile = base\nregion = eu-west-1\n"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StorageError) as caught:
        find_account("lab", "s3://lab")
    assert "cannot be reached" in caught.value.cause
    assert "login" not in caught.value.remedy


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("credential_process = false\n", "credential_process failed"),
        ("role_arn = arn:aws:iam::123456789012:role/r\nsource_profile = nobody\n", "not complete"),
    ],
)
def test_why_there_are_no_credentials_is_a_sentence(aws: Path, profile: str, said: str) -> None:
    (aws / "config").write_text(f"[profile lab]\nregion = eu-west-1\n{profile}")
    with pytest.raises(CredentialsError) as caught:
        find_account("lab", "s3://lab")
    assert said in caught.value.cause
    assert "'lab'" in caught.value.cause
    assert "sso" not in caught.value.remedy


def test_the_server_that_a_profile_names_for_s3_alone_is_used(aws: Path) -> None:
    (aws / "config").write_text(
        f"[profile lab]\nservices = ours\n{keys('k')}endpoint_url = https://everything\n"
        "[services ours]\ns3 =\n  endpoint_url = https://minio\n  addressing_style = path\n"
        "dynamodb =\n  endpoint_url = https://other\n"
    )
    assert find_account("lab", "s3://lab").endpoint_url == "https://minio"


def test_a_secret_is_not_in_the_words_for_an_account(aws: Path) -> None:
    (aws / "credentials").write_text(f"[lab]\n{keys('TOPSECRET')}")
    account = find_account("lab", "s3://lab")
    assert "TOPSECRET" not in repr(account)
