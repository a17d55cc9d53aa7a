from pathlib import Path

import pytest

from orchestrator.dashboard import auth_headers, checked_address
from orchestrator.errors import Unfit


@pytest.mark.parametrize(
    "address", ["http://head:8265", "http://head:8265/", "https://ray.example.org/cluster/"]
)
def test_an_address_of_a_dashboard_is_taken_without_its_last_slash(address):
    assert checked_address(address) == address.rstrip("/")


@pytest.mark.parametrize(
    "address",
    ["head:8265", "ray://head:10001", "auto", "", "http://", "http://head:port", "file:///etc"],
)
def test_what_is_no_address_of_a_dashboard_is_refused_with_what_to_write(address):
    with pytest.raises(Unfit, match="http://HEAD:8265"):
        checked_address(address)


def test_a_login_in_the_address_is_refused_and_not_repeated():
    with pytest.raises(Unfit) as refused:
        checked_address("http://me:hunter22@head:8265")
    assert "hunter22" not in str(refused.value)
    assert refused.value.exit_code == 2


def test_the_token_is_found_where_ray_looks_for_it(tmp_path):
    default = tmp_path / ".ray" / "auth_token"
    default.parent.mkdir()
    default.write_text("from-home\n")
    named = tmp_path / "named"
    named.write_text("from-file")
    home = {"HOME": str(tmp_path)}
    there = "http://localhost:8265"
    assert auth_headers(there, home) == {"Authorization": "Bearer from-home"}
    named_too = {**home, "RAY_AUTH_TOKEN_PATH": str(named)}
    assert auth_headers(there, named_too) == {"Authorization": "Bearer from-file"}
    given = {**named_too, "RAY_AUTH_TOKEN": "given"}
    assert auth_headers(there, given) == {"Authorization": "Bearer given"}
    assert auth_headers(there, {**given, "RAY_AUTH_MODE": "disabled"}) == {}


def test_a_named_token_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Unfit, match="cannot be read"):
        auth_headers("http://localhost:1", {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")})


@pytest.mark.parametrize("address", ["http://head:8265", "http://10.0.0.4:8265"])
def test_plain_http_to_another_machine_needs_a_token(address, tmp_path):
    with pytest.raises(Unfit, match="there is no token") as refused:
        auth_headers(address, {"HOME": str(tmp_path)})
    assert "ssh -L 8265" in str(refused.value)
    assert auth_headers(address, {"RAY_AUTH_TOKEN": "t"}) != {}


@pytest.mark.parametrize(
    "address", ["http://localhost:8265", "http://127.0.0.1:1", "http://[::1]:1", "https://head"]
)
def test_this_machine_and_https_need_none(address, tmp_path: Path):
    assert auth_headers(address, {"HOME": str(tmp_path)}) == {}
