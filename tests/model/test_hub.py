"""ImageNet weights from the Hugging Face hub: a local server in its place, its cache, and no answer."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from bcnn_prune.model.init import fresh, imagenet
from bcnn_prune.spec import ModelSpec

VGG11 = ModelSpec.of("vgg11", 3)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, and a hub at an address where nobody answers."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    hub_at(monkeypatch, "http://127.0.0.1:9")
    return tmp_path


def hub_at(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


def test_without_a_network_it_is_one_line_in_seconds(
    cache: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    before = time.monotonic()
    with pytest.raises(ConnectionError, match=r"model\.safetensors of timm/vgg11_bn\.tv_in1k .* --weights FILE"):
        imagenet(VGG11, generator())
    assert time.monotonic() - before < 20  # the client's own retries take 60
    assert caplog.messages == []
    assert capfd.readouterr() == ("", "")


def test_offline_mode_is_obeyed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConnectionError, match="--weights FILE"):
        imagenet(VGG11, generator())


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """A hub that has torchvision's layout of a VGG-11 with BatchNorm."""
    trunk = fresh(VGG11, generator(seed=1)).trunk
    content = save({f"features.{i}.{k}": v for i, part in enumerate(trunk) for k, v in part.state_dict().items()})

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            known = self.path == "/timm/vgg11_bn.tv_in1k/resolve/main/model.safetensors"
            self.send_response(200 if known or COMMIT in self.path else 404)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", '"weights"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub_at(monkeypatch, f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


def test_weights_are_fetched_once(hub: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = fresh(VGG11, generator(seed=1)).trunk.state_dict()
    for address in (None, "http://127.0.0.1:9"):
        if address:
            hub_at(monkeypatch, address)
        trunk = imagenet(VGG11, generator()).trunk.state_dict()
        assert all(torch.equal(trunk[name], tensor) for name, tensor in wanted.items())
