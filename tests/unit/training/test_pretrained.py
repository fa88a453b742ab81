"""Starting weights: local files that fit or do not, and downloads that are checked. Nothing leaves this machine."""

from __future__ import annotations

import hashlib
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import torch
import torchvision.models
from safetensors.torch import save_file

from histoloop import paths
from histoloop.errors import ModelError
from histoloop.network_config import MinMaxConfig, NetworkConfig
from histoloop.networks.backbones import build_backbone
from histoloop.networks.build import build_network
from histoloop.progress import Progress, finish
from histoloop.training.pretrained import start_backbone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

NAME = "mobilenet_v3_small"


@pytest.fixture(scope="module")
def theirs() -> dict[str, Tensor]:
    """Weights as torchvision has them, with the classification head."""
    torch.manual_seed(1)
    return torchvision.models.mobilenet_v3_small(weights=None).state_dict()


def start(weights: object) -> dict[str, Tensor]:
    torch.manual_seed(0)
    backbone = build_backbone(NAME)
    finish(start_backbone(backbone, NAME, str(weights)))
    return backbone.state_dict()


def test_random_weights_stay_as_they_are() -> None:
    torch.manual_seed(0)
    untouched = build_backbone(NAME).state_dict()
    assert all(torch.equal(value, untouched[name]) for name, value in start("random").items())


def test_a_local_file_fills_the_backbone_and_its_head_is_left_out(theirs: dict[str, Tensor], tmp_path: Path) -> None:
    save_file({name: tensor.half() for name, tensor in theirs.items()}, tmp_path / "w.safetensors")
    found = start(tmp_path / "w.safetensors")
    for name, value in found.items():
        assert value.dtype == theirs[name].dtype
        torch.testing.assert_close(value, theirs[name].half().to(value.dtype))


def test_counts_of_batches_may_be_missing(theirs: dict[str, Tensor], tmp_path: Path) -> None:
    some = {name: tensor for name, tensor in theirs.items() if not name.endswith("num_batches_tracked")}
    save_file(some, tmp_path / "w.safetensors")
    found = start(tmp_path / "w.safetensors")
    assert torch.equal(found["features.0.0.weight"], theirs["features.0.0.weight"])


@pytest.mark.parametrize("minmax", [None, MinMaxConfig()], ids=["hybrid", "min-max"])
def test_the_weights_of_a_model_made_here_fill_the_backbone(minmax: MinMaxConfig | None, tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = build_network(NetworkConfig(2, backbone=NAME, decoder_channels=(), minmax=minmax))
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    found = start(tmp_path / "weights.safetensors")
    own = network.backbone.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in found.items())


def test_a_file_that_lacks_a_tensor_is_refused_with_its_name(theirs: dict[str, Tensor], tmp_path: Path) -> None:
    some = {name: tensor for name, tensor in theirs.items() if name != "features.3.block.0.0.weight"}
    save_file(some, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"lacks 1 of .* such as features\.3\.block\.0\.0\.weight"):
        start(tmp_path / "w.safetensors")


def test_a_file_with_other_shapes_is_refused(theirs: dict[str, Tensor], tmp_path: Path) -> None:
    save_file({**theirs, "features.0.0.weight": torch.zeros(16, 1, 3, 3)}, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match="does not fit") as refused:
        start(tmp_path / "w.safetensors")
    assert "very backbone" in refused.value.advice


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("absent.safetensors", None, "cannot be read"), ("w.safetensors", b"broken", "cannot be read"),
     ("w.pth", b"pickle", "no file of weights"), ("imagnet", None, "no file of weights")],
)  # fmt: skip
def test_what_is_no_file_of_weights_is_refused_with_the_choices(
    name: str, content: bytes | None, words: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=words) as refused:
        start(tmp_path / name)
    assert refused.value.advice


# --- downloads ----------------------------------------------------------------------------------------------------


class Served(SimpleNamespace):
    """A web server on this machine: what it answers, and how often it was asked."""

    content: bytes
    status: int
    asked: int
    url: str


@pytest.fixture
def served(theirs: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    file = io.BytesIO()
    torch.save(theirs, file)
    answer = Served(content=file.getvalue(), status=200, asked=0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer.asked += 1
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            if answer.status == 200:
                self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    digest = hashlib.sha256(answer.content).hexdigest()[:8]
    answer.url = f"http://127.0.0.1:{server.server_port}/models/mobilenet-{digest}.pth"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(paths, "user_data", lambda: tmp_path / "data")
    entry = SimpleNamespace(DEFAULT=SimpleNamespace(url=answer.url))
    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda _name: entry)
    yield answer
    server.shutdown()
    thread.join()
    server.server_close()


def kept(tmp_path: Path) -> list[str]:
    folder = tmp_path / "data" / "weights"
    return [file.name for file in folder.iterdir()] if folder.exists() else []


def test_a_download_is_checked_kept_and_fetched_once(served: Served, theirs: dict[str, Tensor], tmp_path: Path) -> None:
    backbone = build_backbone(NAME)
    steps: list[Progress] = []
    finish(start_backbone(backbone, NAME, "imagenet"), steps.append)
    assert steps[-1].fraction == 1
    assert "Downloading mobilenet-" in steps[-1].stage
    assert all(torch.equal(value, theirs[name]) for name, value in backbone.state_dict().items())
    assert kept(tmp_path) == [served.url.rsplit("/", 1)[1]]
    start("imagenet")
    assert served.asked == 1


def test_a_download_with_another_hash_is_thrown_away_unread(served: Served, tmp_path: Path) -> None:
    served.content = served.content[:-1] + b"!"
    with pytest.raises(ModelError, match="not the file it should be"):
        start("imagenet")
    assert kept(tmp_path) == []


def test_a_kept_file_that_has_changed_is_not_read_but_fetched_again(served: Served, tmp_path: Path) -> None:
    start("imagenet")
    (file,) = (tmp_path / "data" / "weights").iterdir()
    file.write_bytes(b"no weights" + served.content[10:])
    start("imagenet")
    assert served.asked == 2
    assert file.read_bytes() == served.content


def test_a_kept_file_that_has_changed_is_never_used_without_a_server(served: Served, tmp_path: Path) -> None:
    start("imagenet")
    (file,) = (tmp_path / "data" / "weights").iterdir()
    file.write_bytes(served.content[:-1])
    served.status = 404
    with pytest.raises(ModelError, match="cannot be downloaded"):
        start("imagenet")


def test_a_server_that_does_not_have_it_is_an_error_with_advice(served: Served, tmp_path: Path) -> None:
    served.status = 404
    with pytest.raises(ModelError, match="cannot be downloaded") as refused:
        start("imagenet")
    assert "safetensors" in refused.value.advice
    assert kept(tmp_path) == []


def test_a_download_that_is_cancelled_leaves_nothing(served: Served, tmp_path: Path) -> None:
    work = start_backbone(build_backbone(NAME), NAME, "imagenet")
    next(work)
    work.close()
    assert kept(tmp_path) == []
