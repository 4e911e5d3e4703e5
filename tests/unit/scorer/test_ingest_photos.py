import base64
import http.server
import io
import os
import socket
import threading
import zlib

import numpy as np
import pytest
import stamina
from PIL import Image

from ranking.errors import InputError
from scorer.ingest import download as download_module
from scorer.ingest.download import download
from scorer.ingest.photos import PhotoError, PhotoLoader, PhotoSource


def jpeg(color=(200, 30, 30), size=(40, 30)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, "JPEG")
    return out.getvalue()


def png_bomb(side: int) -> bytes:
    """A PNG that says it has side x side pixels and is a few bytes long."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "photos"
    (folder / "dress").mkdir(parents=True)
    (folder / "dress" / "a b.jpg").write_bytes(jpeg())
    (tmp_path / "secret.jpg").write_bytes(jpeg())
    return folder


def test_a_file_is_read_by_path_and_by_file_address(root):
    source = PhotoSource(root=root)
    wanted = jpeg()
    assert source.read("dress/a b.jpg") == wanted
    assert source.read(str(root / "dress" / "a b.jpg")) == wanted
    assert source.read((root / "dress" / "a b.jpg").as_uri()) == wanted


@pytest.mark.parametrize(
    "name",
    [
        "../secret.jpg",
        "dress/../../secret.jpg",
        "file:///etc/passwd",
        "/etc/passwd",
        "{root}/../secret.jpg",
        "file://{root}/%2e%2e/secret.jpg",
        "link.jpg",
        "linked/secret.jpg",
        "file://elsewhere/photos/a.jpg",
        "dress/a\0b.jpg",
        "dress",
        "dress/absent.jpg",
    ],
)
def test_nothing_outside_the_root_is_read(root, name):
    (root / "link.jpg").symlink_to(root.parent / "secret.jpg")
    (root / "linked").symlink_to(root.parent)
    with pytest.raises(PhotoError):
        PhotoSource(root=root).read(name.replace("{root}", str(root)))


def test_without_a_root_no_file_is_read(root):
    with pytest.raises(PhotoError, match="photos-root"):
        PhotoSource().read(str(root / "dress" / "a b.jpg"))


def test_a_fifo_is_not_waited_for(root):
    os.mkfifo(root / "pipe.jpg")
    with pytest.raises(PhotoError, match="not a plain file"):
        PhotoSource(root=root).read("pipe.jpg")


def test_data_addresses_are_read():
    encoded = base64.b64encode(jpeg()).decode()
    source = PhotoSource()
    assert source.read(f"data:image/jpeg;base64,{encoded}") == jpeg()
    assert source.read(f"DATA:;BASE64,{encoded}") == jpeg()
    assert source.read("data:,a%20b") == b"a b"


@pytest.mark.parametrize(
    "url", ["data:image/jpeg;base64,???", "data:image/jpeg", "data:,", "ftp://x/y", "", "x:y"]
)
def test_an_address_that_leads_nowhere_is_refused(url):
    with pytest.raises(PhotoError):
        PhotoSource().read(url)


def test_a_photo_larger_than_the_cap_is_refused(root):
    with pytest.raises(PhotoError, match="more than 10 bytes"):
        PhotoSource(root=root, max_bytes=10).read("dress/a b.jpg")


def test_photos_are_loaded_in_threads_as_the_model_takes_them(root):
    loader = PhotoLoader.for_size(PhotoSource(root=root), 16)
    try:
        pixels = loader.submit("dress/a b.jpg").result().pixels
        assert (pixels.shape, pixels.dtype) == ((16, 16, 3), np.uint8)
        assert np.abs(pixels.astype(int) - [200, 30, 30]).max() < 6
    finally:
        loader.close()


@pytest.mark.parametrize(
    "data", [b"not a photo", jpeg()[:200], png_bomb(60_000)], ids=["text", "cut", "bomb"]
)
def test_a_broken_photo_or_a_bomb_is_a_photo_error(root, data):
    (root / "bad.jpg").write_bytes(data)
    loader = PhotoLoader.for_size(PhotoSource(root=root), 16)
    try:
        with pytest.raises(PhotoError):
            loader.submit("bad.jpg").result()
    finally:
        loader.close()


class Handler(http.server.BaseHTTPRequestHandler):
    tries = 0

    def do_GET(self):
        if self.path == "/flaky":
            Handler.tries += 1
            if Handler.tries == 1:
                self.send_error(503)
                return
        if self.path.startswith("/loop"):
            self.send_response(302)
            self.send_header("Location", "/loop")
            self.end_headers()
            return
        if self.path.startswith("/to-"):
            metadata = "http://169.254.169.254/latest/meta-data"
            self.send_response(302)
            self.send_header("Location", metadata if self.path == "/to-metadata" else "file:///etc/passwd")
            self.end_headers()
            return
        if self.path == "/gzip":
            assert self.headers["Accept-Encoding"] == "identity"
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            return
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
            return
        if self.path == "/gone":
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        if self.path == "/large":
            self.wfile.write(b"x" * 5000)
        else:
            self.wfile.write(jpeg())

    def log_message(self, *args):
        pass


@pytest.fixture
def web():
    Handler.tries = 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    with stamina.set_testing(True, attempts=3, cap=True):
        yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_photo_is_downloaded_and_a_passing_failure_tried_again(web):
    source = PhotoSource(allow_private_hosts=True)
    assert source.read(f"{web}/a.jpg?w=1") == jpeg()
    assert source.read(f"{web}/flaky") == jpeg()
    assert Handler.tries == 2


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/gone", "HTTP 404"),
        ("/loop", "redirects"),
        ("/away", "not a web address"),
        ("/large", "more than 4000"),
    ],
)
def test_a_download_that_cannot_be_used_says_why(web, path, reason):
    with pytest.raises(PhotoError, match=reason):
        PhotoSource(allow_private_hosts=True, max_bytes=4000, timeout_s=5).read(web + path)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.1.1",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::a00:1]",  # NAT64: a gateway would connect to 10.0.0.1
        "[64:ff9b::a9fe:a9fe]",  # 169.254.169.254
        "[2002:7f00:1::]",  # 6to4 of 127.0.0.1
        "[fec0::1]",
        "[ff02::1]",
        "224.0.0.1",
        "100.64.0.1",
        "240.0.0.1",
        "2130706433",  # 127.0.0.1 as one number
        "0x7f.1",
    ],
)
def test_private_addresses_are_refused(host):
    with pytest.raises(PhotoError, match="private"):
        PhotoSource().read(f"http://{host}:9200/_cat/indices")


def test_the_address_that_was_checked_is_the_one_connected_to(web, monkeypatch):
    port = int(web.rpartition(":")[2])
    asked = []

    real = socket.getaddrinfo

    def resolve(host, *args, **options):
        asked.append(host)
        return real("127.0.0.1" if host == "photos.example" else host, *args, **options)

    monkeypatch.setattr(download_module.socket, "getaddrinfo", resolve)
    url = f"http://photos.example:{port}/a.jpg"
    assert download(url, max_bytes=10**6, timeout_s=5, allow_private_hosts=True) == jpeg()
    assert asked == ["photos.example", "127.0.0.1"]  # the name once, then only the address


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_addresses_of_the_internet_are_public(address):
    assert download_module._is_public(address)


def test_a_redirect_into_the_own_network_is_refused(web, monkeypatch):
    """The photo's server is public, and sends on to the metadata address of the cloud."""
    monkeypatch.setattr(download_module, "_is_public", lambda address: address == "127.0.0.1")
    with pytest.raises(InputError, match=r"169\.254\.169\.254 is a private address"):
        download(f"{web}/to-metadata", max_bytes=10**6, timeout_s=5)
    with pytest.raises(InputError, match="not a web address"):
        download(f"{web}/to-file", max_bytes=10**6, timeout_s=5)


def test_a_name_that_answers_differently_the_second_time_gains_nothing(web, monkeypatch):
    port = int(web.rpartition(":")[2])
    answers = ["127.0.0.1", "10.0.0.1"]  # DNS rebinding
    real = socket.getaddrinfo

    def resolve(host, *args, **options):
        return real(answers.pop(0) if host == "photos.example" else host, *args, **options)

    monkeypatch.setattr(download_module.socket, "getaddrinfo", resolve)
    monkeypatch.setattr(download_module, "_is_public", lambda address: address == "127.0.0.1")
    assert download(f"http://photos.example:{port}/a.jpg", max_bytes=10**6, timeout_s=5) == jpeg()
    with pytest.raises(InputError, match="private address"):
        download(f"http://photos.example:{port}/a.jpg", max_bytes=10**6, timeout_s=5)


def test_a_packed_answer_is_refused(web):
    with pytest.raises(InputError, match="packs it"):
        download(f"{web}/gzip", max_bytes=10**6, timeout_s=5, allow_private_hosts=True)


def test_downloads_can_be_switched_off(web):
    with pytest.raises(PhotoError, match="switched off"):
        PhotoSource(allow_http=False).read(web)
