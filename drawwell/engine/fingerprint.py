"""The render fingerprint: what the bytes of an image may depend on besides its address and the model digest."""

import ctypes
import importlib.metadata
import os
import platform
from pathlib import Path

import numpy as np

from drawwell import __version__
from drawwell.errors import ProviderError

_KERNEL_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8")
"""Features of the processor by which ONNX Runtime and numpy choose their kernels."""

_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CUdevice_attribute, the same in every version of CUDA


def fingerprint(provider: str, batch: int | None = None) -> str:
    """Return versions, execution provider and kind of processor, in printable ASCII.

    ``batch`` is the shape of every run on CUDA; on the CPU the bytes do not depend on it.
    Two engines with equal fingerprints draw the same bytes from one file; docs/reports/precision.md has measurements across
    different fingerprints.
    """
    import onnxruntime

    parts = {
        "drawwell": __version__,
        "onnxruntime": onnxruntime.__version__,
        "numpy": np.__version__,
        "deflate": importlib.metadata.version("deflate"),
        "provider": provider,
        "processor": _cuda_device() if provider == "cuda" else _processor(),
    }
    if batch is not None:
        parts["batch"] = str(batch)
    return "; ".join(f"{name}={value}" for name, value in parts.items()).encode("ascii", "replace").decode()


def _cuda_device() -> str:
    """Name, compute capability and driver of the first visible device, from the CUDA driver that the session uses."""
    driver = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    name, values = ctypes.create_string_buffer(256), [ctypes.c_int() for _ in range(3)]
    major, minor, version = values
    calls = (
        driver.cuInit(0),
        driver.cuDeviceGetName(name, len(name), 0),
        driver.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, 0),
        driver.cuDeviceGetAttribute(ctypes.byref(minor), _CAPABILITY_MINOR, 0),
        driver.cuDriverGetVersion(ctypes.byref(version)),
    )
    if any(calls):
        raise ProviderError(f"the CUDA driver does not say what device it has (errors {calls})")
    # loaded already, by the session; it is a package of its own and chooses the algorithms
    cudnn = ctypes.CDLL("cudnn64_9.dll" if os.name == "nt" else "libcudnn.so.9").cudnnGetVersion
    cudnn.restype = ctypes.c_size_t
    return f"{name.value.decode()} sm_{major.value}{minor.value} driver {version.value} cudnn {cudnn()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:  # not Linux
        return f"{platform.machine()} {platform.processor()}".strip()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    family = [facts[name] for name in ("vendor_id", "cpu family", "model") if name in facts]
    flags = [flag for flag in _KERNEL_FLAGS if flag in facts.get("flags", "").split()]
    return " ".join([platform.machine(), *family, *flags])
