"""Pictures at URLs: what is fetched, from where, within which bounds, and who may have it fetched.

The hosts are real servers on this machine; what is asked of the system's resolver is real, too,
but for names that must have more than one address.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import SAMPLES
from tests.picture_server import PICTURE, Pictures, serving
from tests.web_server import serve

import pixseek
from pixseek import ImageSearchEngine, Query, errors
from pixseek.alike import similar
from pixseek.cli import main
from pixseek.records import Fetching
from pixseek.settings import Settings
from pixseek.urls import REDIRECTS, fetched, is_public, is_url

LOCAL = Fetching(hosts=frozenset({"127.0.0.1"}))


@pytest.fixture(scope="module")
def host() -> Iterator[Pictures]:
    with serving() as pictures:
        yield pictures


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample photos."""
    folder = tmp_path_factory.mktemp("urls") / "library"
    with ImageSearchEngine(folder, model="pocket") as made:
        made.index_images(SAMPLES)
    return folder


# What is fetched


@pytest.mark.parametrize(
    "path", ["picture.jpg", "unsaid", "to/picture.jpg", "to/to/to/picture.jpg", "picture.jpg/?a=b"]
)
def test_a_picture_is_fetched(host: Pictures, path: str) -> None:
    assert fetched(host.at(path), LOCAL) == PICTURE


def test_what_is_asked_says_who_asks_and_no_more(host: Pictures) -> None:
    fetched(host.at("picture.jpg?q=1#part"), LOCAL)
    assert host.asked[-1] == "/picture.jpg?q=1"
    assert host.headers[-1] == {
        "Host": f"127.0.0.1:{host.port}",
        "User-Agent": f"pixseek/{pixseek.__version__}",
        "Accept": "image/*",
        "Accept-Encoding": "identity",
    }


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("none.jpg", errors.FetchRefused, "answers 404"),
        ("page", errors.NoPictureThere, "of type text/html"),
        ("empty.jpg", errors.NoPictureThere, "has nothing"),
        ("bomb", errors.NoPictureThere, r"packed \(gzip\)"),
        ("round", errors.TooManyRedirects, f"more than {REDIRECTS} times"),
        ("large", errors.FetchTooLarge, "more than 1000000 bytes"),
        ("endless", errors.FetchTooLarge, "more than 1000000 bytes"),
        ("cut", errors.HostUnreachable, "peer closed connection"),
        ("nonsense", errors.HostUnreachable, "without sending a response"),
        ("other/ftp://example.com/a.jpg", errors.InvalidPictureURL, "it leads to ftp:"),
        ("other/file:///etc/passwd", errors.InvalidPictureURL, "it leads to file:"),
        ("other/http://me:secret@127.0.0.1/", errors.InvalidPictureURL, "a name or a password"),
    ],
)
def test_what_cannot_be_had_is_named_with_the_reason(
    host: Pictures, path: str, error: type[errors.FetchError], message: str
) -> None:
    url = host.at(path)
    with pytest.raises(error, match=message) as caught:
        fetched(url, replace(LOCAL, max_bytes=1_000_000))
    assert vars(caught.value)["url"] == url


@pytest.mark.parametrize("path", ["slow", "slow-header"])
def test_a_host_that_sends_a_byte_now_and_then_is_given_up(host: Pictures, path: str) -> None:
    with pytest.raises(errors.FetchTooSlow, match=r"within 0\.3 s"):
        fetched(host.at(path), replace(LOCAL, within_s=0.3))


def test_a_host_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.jpg"
        with pytest.raises(errors.FetchTooSlow):
            fetched(url, replace(LOCAL, within_s=0.3))
        with pytest.raises(errors.FetchTooSlow):  # nor a handshake
            fetched(url.replace("http:", "https:"), replace(LOCAL, within_s=0.3))


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://", errors.InvalidPictureURL),
        ("http://127.0.0.1:99999/a.jpg", errors.InvalidPictureURL),
        ("http://me:secret@127.0.0.1/a.jpg", errors.InvalidPictureURL),
        ("http://no-such-host.invalid/a.jpg", errors.HostUnreachable),
        (f"http://{'a' * 300}.invalid/a.jpg", errors.FetchError),
    ],
)
def test_a_url_that_leads_nowhere_is_refused(url: str, error: type[errors.FetchError]) -> None:
    with pytest.raises(error):
        fetched(url, LOCAL)


def test_a_host_that_refuses_connections_is_named(host: Pictures) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(errors.HostUnreachable):
        fetched(f"http://127.0.0.1:{port}/a.jpg", LOCAL)
    with pytest.raises(errors.HostUnreachable, match="SSL"):
        fetched(host.at("a.jpg").replace("http:", "https:"), LOCAL)


# From where


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "198.18.0.1", "192.0.2.1", "224.0.0.1"),
        *("239.255.255.250", "240.0.0.1", "255.255.255.255"),
        *("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "4000::1"),
        *("2002:7f00:1::", "2002:a00:1::1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe"),
        *("64:ff9b:1::1", "2001::1"),
    ],
)
def test_addresses_that_not_everyone_can_reach_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"],
)
def test_addresses_that_everyone_can_reach_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1", "[::1]", "LOCALHOST"]
)
def test_this_machine_is_not_asked_whatever_it_is_called(host: Pictures, name: str) -> None:
    before = len(host.asked)
    with pytest.raises(errors.HostNotPublic, match="no public address"):
        fetched(f"http://{name}:{host.port}/picture.jpg", Fetching())
    assert len(host.asked) == before


def test_a_redirect_to_a_private_address_is_not_followed(host: Pictures) -> None:
    url = host.at(f"to/localhost:{host.port}=picture.jpg")
    with pytest.raises(errors.HostNotPublic, match="localhost") as caught:
        fetched(url, LOCAL)
    assert caught.value.url == url
    assert host.asked[-1].startswith("/to/")
    assert fetched(url, Fetching(hosts=frozenset({"127.0.0.1", "localhost"}))) == PICTURE


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["2606:4700::1", "::1"]]
)
def test_a_name_with_one_private_address_is_not_asked(host: Pictures, addresses: list[str]) -> None:
    before = len(host.asked)
    with pytest.raises(errors.HostNotPublic, match=r"'pictures\.example' is at"):
        fetched(f"http://pictures.example:{host.port}/a.jpg", Fetching(), lambda *_: addresses)
    assert len(host.asked) == before


def test_the_connection_goes_to_the_address_that_was_checked(host: Pictures) -> None:
    """A name that the system does not know, and that means another address when asked again."""
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    url = f"http://rebinding.example:{host.port}/picture.jpg"
    allowed = Fetching(hosts=frozenset({"rebinding.example"}))
    assert fetched(url, allowed, lambda *_: next(answers)) == PICTURE
    assert host.headers[-1]["Host"] == f"rebinding.example:{host.port}"
    assert next(answers) == ["127.0.0.2"]  # it was asked once


def test_an_address_that_does_not_answer_is_followed_by_the_next(host: Pictures) -> None:
    url = f"http://two.example:{host.port}/picture.jpg"
    allowed = Fetching(hosts=frozenset({"two.example"}))
    assert fetched(url, allowed, lambda *_: ["::1", "127.0.0.1"]) == PICTURE


def test_a_certificate_must_be_of_the_host() -> None:
    """Not of the address that is connected to: it is shown the name."""
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _, name, __: names.append(name)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection, pytest.raises(ssl.SSLError):
                context.wrap_socket(connection, server_side=True)

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"https://named.example:{listening.getsockname()[1]}/a.jpg"
        with pytest.raises(errors.HostUnreachable):
            fetched(url, Fetching(hosts=frozenset({"named.example"})), lambda *_: ["127.0.0.1"])
        thread.join(10)
    assert names == ["named.example"]


# Who may


def test_nothing_is_fetched_where_nothing_is_said_of_it(host: Pictures) -> None:
    with pytest.raises(errors.FetchNotAllowed, match="not fetched here"):
        fetched(host.at("picture.jpg"), None)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("https://example.com/a.jpg", True),
        ("HTTP://example.com", True),
        ("ftp://example.com/a.jpg", False),
        ("a.jpg", False),
        (Path("http://a.jpg"), False),
        (b"http://a.jpg", False),
    ],
)
def test_a_url_is_told_from_a_path(source: object, expected: bool) -> None:
    assert is_url(source) is expected


def opened(library: Path, **options: object) -> ImageSearchEngine:
    chosen = Settings(**{"library": library, **options})  # type: ignore[arg-type]  # as given
    return ImageSearchEngine(library, create=False, options=chosen)


def test_a_search_in_python_takes_a_url(host: Pictures, library: Path) -> None:
    url = host.at("picture.jpg")
    with opened(library, fetch_hosts="nas.local, 127.0.0.1") as engine:
        (best,) = engine.search(image=url, k=1)
        assert best.path.name == "photo-06.jpg"
        assert best.score == pytest.approx(1, abs=1e-5)
        assert similar(engine, url, 1) == engine.search(image=url, k=1)
        (best,) = engine.search(Query.parse(f"like:{url}^2 -water"), k=1, explain=True)
        assert best.path.name == "photo-06.jpg"
        assert best.why is not None
        assert list(best.why.parts) == [url, "water"]
        with pytest.raises(errors.UnreadableImage, match=r"liar\.jpg"):
            engine.search(image=host.at("liar.jpg"))


def test_a_picture_of_too_many_pixels_is_refused(host: Pictures, library: Path) -> None:
    with (
        opened(library, fetch_hosts="127.0.0.1", upload_megapixels=0) as engine,
        pytest.raises(errors.UnreadableImage, match="pixels are more than the limit"),
    ):
        engine.search(image=host.at("picture.jpg"))


def test_offline_means_that_nothing_is_fetched(host: Pictures, library: Path) -> None:
    before = len(host.asked)
    with (
        opened(library, fetch_hosts="127.0.0.1", offline=True) as engine,
        pytest.raises(errors.FetchNotAllowed, match="'offline' is on"),
    ):
        engine.search(image=host.at("picture.jpg"))
    assert len(host.asked) == before


def test_a_url_is_fetched_for_who_types_it(
    host: Pictures,
    library: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PIXSEEK_LIBRARY", str(library))
    url = host.at("picture.jpg")
    typed = (["search", f"like:{url}"], ["search", "--like", url], ["similar", url])
    assert {main([*one, "-k", "1"]) for one in typed} == {2}
    assert capsys.readouterr().err.count("no public address") == 3
    monkeypatch.setenv("PIXSEEK_FETCH_HOSTS", "127.0.0.1")
    for one in typed:
        assert main([*one, "-k", "1", "--paths"]) == 0
        assert capsys.readouterr().out.strip().endswith("photo-06.jpg")
    monkeypatch.setenv("PIXSEEK_OFFLINE", "1")
    assert main(["similar", url]) == 2


def test_a_server_fetches_nothing_unless_it_is_allowed(host: Pictures, library: Path) -> None:
    line = f"like:{host.at('picture.jpg')}"
    before = len(host.asked)
    with serve(library, fetch_hosts="127.0.0.1") as served:
        refused = served.get("/api/v1/search", params={"q": line})
        assert refused.status_code == 403
        assert refused.json()["type"] == "urn:pixseek:error:FetchNotAllowed"
        assert len(host.asked) == before
    with serve(library, fetch_hosts="127.0.0.1", fetch_images=True) as served:
        assert served.found(q=line)[0] == "photo-06.jpg"
        gone = served.get("/api/v1/search", params={"q": f"like:{host.at('none.jpg')}"})
        assert (gone.status_code, gone.json()["fields"]["status"]) == (422, 404)
    with serve(library, fetch_images=True) as served:
        refused = served.get("/api/v1/search", params={"q": line})
        assert refused.json()["type"] == "urn:pixseek:error:HostNotPublic"


def test_a_search_without_urls_loads_nothing_that_fetches(library: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(pixseek.__file__).parent.parent)!r})\n"
        "from pixseek import ImageSearchEngine\n"
        f"ImageSearchEngine({str(library)!r}).search('a tiger')\n"
        "assert not {'httpx', 'httpcore', 'ssl'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
