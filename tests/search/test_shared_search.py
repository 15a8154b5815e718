import os

import pytest

from dropzoo.search import share_search

NAMES = "ORACLE_IP", "ORACLE_PORT", "TUNER_ID"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    for name in NAMES:  # put back at the end, whatever is set meanwhile
        monkeypatch.setenv(f"KERASTUNER_{name}", "")
    monkeypatch.setenv("no_grpc_proxy", "")


def shared():
    return tuple(os.environ[f"KERASTUNER_{name}"] for name in NAMES)


def test_chief_and_workers_are_told_apart():
    share_search("10.0.0.5:9000", worker=None)
    assert shared() == ("10.0.0.5", "9000", "chief")
    share_search("desk:80", worker="lap")
    assert shared() == ("desk", "80", "worker-lap")
    share_search("[::1]:80")
    assert shared()[2].endswith(f"-{os.getpid()}")


def test_messages_pass_a_proxy_by():
    share_search("[::1]:80")
    assert os.environ["no_grpc_proxy"] == "::1"


@pytest.mark.parametrize("address", ["desk", "desk:0", "desk:99999", ":80", ""])
def test_an_address_is_a_host_and_a_port(address):
    with pytest.raises(ValueError, match="`address` must be HOST:PORT"):
        share_search(address)


def test_a_worker_is_no_chief():
    with pytest.raises(ValueError, match="`worker` must not contain"):
        share_search("desk:80", worker="mischief")
