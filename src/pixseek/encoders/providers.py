"""Which of the machine's devices ONNX Runtime uses, and in words why no faster one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pixseek.errors import DeviceUnavailable

CPU = "CPUExecutionProvider"


@dataclass(frozen=True, slots=True)
class Device:
    """A device by our name, and what of ONNX Runtime runs on it."""

    name: str
    called: str
    """For people."""
    provider: str
    package: str
    """The build of ONNX Runtime that has the provider."""
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    """Those that keep it at full precision."""


DEVICES = (
    Device("cuda", "an NVIDIA GPU", "CUDAExecutionProvider", "onnxruntime-gpu", {"use_tf32": "0"}),
    Device("rocm", "an AMD GPU", "MIGraphXExecutionProvider", "onnxruntime-migraphx"),
    Device("directml", "DirectML", "DmlExecutionProvider", "onnxruntime-directml"),
    Device(
        "openvino",
        "OpenVINO",
        "OpenVINOExecutionProvider",
        "onnxruntime-openvino",
        {"device_type": "CPU", "precision": "FP32"},
    ),
    Device(
        "coreml",
        "Core ML",
        "CoreMLExecutionProvider",
        "onnxruntime for macOS",
        {"ModelFormat": "MLProgram"},
    ),
    Device("cpu", "the processor", CPU, "onnxruntime"),
)
"""The fastest first."""

NOT_BY_ITSELF = frozenset({"coreml"})
"""Never chosen by `auto`: Core ML may compute in half precision, whatever it is told."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A device, and why no faster one; '' when it was asked for."""

    device: Device
    why: str = ""


def choose(name: str, available: Sequence[str]) -> Choice:
    """name: auto or a device's. available: what `onnxruntime.get_available_providers()` gives.

    Raises DeviceUnavailable when a device that was asked for is not there, or is not known.
    """
    names = ["auto", *(device.name for device in DEVICES)]
    if name == "auto":
        device = next(
            one
            for one in DEVICES
            if one.name == "cpu" or (one.provider in available and one.name not in NOT_BY_ITSELF)
        )
        first = DEVICES[0]
        if device.name != "cpu":
            return Choice(device)
        return Choice(
            device,
            f"{first.name}: this onnxruntime has no {first.provider}, install {first.package}",
        )
    for device in DEVICES:
        if device.name == name:
            if device.provider in available:
                return Choice(device)
            raise DeviceUnavailable(
                name,
                f"this onnxruntime has no {device.provider}, install {device.package} in its place",
                names,
            )
    raise DeviceUnavailable(name, "it is no device of ONNX Runtime", names)
