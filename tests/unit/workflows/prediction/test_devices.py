"""Which device a process computes on, one of several GPUs too; the GPUs are pretended."""

from __future__ import annotations

import pytest
import torch

from histoloop.errors import DeviceError
from histoloop.workflows.cluster import processes
from histoloop.workflows.prediction.loaded_model import choose_device, device_of_worker, nth_device


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("two_gpus")
def test_one_of_several_gpus_is_chosen_by_its_number() -> None:
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda")
    with pytest.raises(DeviceError, match="no GPU number 2") as caught:
        choose_device("cuda:2")
    assert "has 2" in caught.value.advice


@pytest.mark.usefixtures("two_gpus")
def test_processes_take_turns_with_the_gpus_where_any_will_do() -> None:
    assert [nth_device("cuda", number) for number in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert nth_device("auto", 3) == "cuda:1"
    assert nth_device("cuda:0", 1) == "cuda:0"
    assert nth_device("cpu", 1) == "cpu"


def test_without_a_gpu_auto_stays_and_cuda_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert nth_device("auto", 1) == "auto"
    assert choose_device("auto") == torch.device("cpu")
    for name in ("cuda", "cuda:0"):
        with pytest.raises(DeviceError, match="No CUDA GPU"):
            choose_device(name)
    with pytest.raises(DeviceError, match="no device 'cuda:first'"):
        choose_device("cuda:first")


def test_a_process_beside_others_takes_its_share_of_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    assert device_of_worker("cpu") == "cpu"
    assert threads == []
    monkeypatch.setattr(processes, "_HERE", [processes.Place(number=1, threads=3)])
    assert device_of_worker("cpu") == "cpu"
    assert threads == [3]
