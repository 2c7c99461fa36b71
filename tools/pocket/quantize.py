"""Smaller, faster files. No vector depends on its neighbours in a batch.

Convolutions are quantised statically (QDQ, unsigned activations, signed weights per channel). The
matrices of the image part are multiplied in 8 bits with a scale for every row. Those of the text
part are only stored in 8 bits and multiplied in float32, where no precision can be spared.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from .towers import PIXEL_MEAN, PIXEL_STD

SMALLEST_STORED = 16_384
WEIGHT_LEVELS = 63


class Pictures(CalibrationDataReader):  # type: ignore[misc]  # its package is untyped
    """Feeds pictures one at a time to the calibration."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.rows: Iterator[np.ndarray] = iter(pixels)

    def get_next(self) -> dict[str, np.ndarray] | None:
        row = next(self.rows, None)
        return None if row is None else {"pixels": row[None]}


def quantize_convolutions(
    source: Path,
    target: Path,
    pixels: np.ndarray,
    *,
    narrow: bool,
) -> None:
    """Static 8-bit version of the convolutions of `source`, calibrated on (n, S, S, 3) pixels.

    narrow: 7-bit weights, which cannot saturate the 16-bit
    sums of processors without VNNI, so that every machine gives the same vectors.
    """
    logging.getLogger().setLevel(logging.ERROR)
    quantize_static(
        source,
        target,
        Pictures(pixels),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "Clip", "Add"],
        per_channel=True,
        reduce_range=narrow,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
    )
    _read_bytes(target)


def _read_bytes(path: Path) -> None:
    """Let the first convolutions read the pixels as they are.

    (pixel - 127) / 128 is itself a linear quantisation, of scale 1/128 and zero point 127, so the
    steps Cast, Sub, Div, Quantize, Dequantize become one Dequantize: faster, and nothing is lost.
    """
    model = onnx.load(path)
    graph = model.graph
    graph.initializer.append(
        numpy_helper.from_array(np.array(1 / PIXEL_STD, np.float32), "pixel_scale")
    )
    graph.initializer.append(numpy_helper.from_array(np.array(PIXEL_MEAN, np.uint8), "pixel_zero"))
    readers = {name: [n for n in graph.node if name in n.input] for name in _names(graph)}
    source = "pixels"
    while readers[source][0].op_type == "Transpose":
        source = readers[source][0].output[0]
    for cast in readers[source]:
        chain = [cast]
        while chain[-1].op_type != "DequantizeLinear":
            following = {n.op_type for n in readers[chain[-1].output[0]]}
            if len(following) != 1 or chain[-1].op_type not in _PREPARATION:
                raise ValueError(f"unexpected preparation of pixels: {chain[-1].op_type}")
            chain += readers[chain[-1].output[0]]
        for last in (node for node in chain if node.op_type == "DequantizeLinear"):
            last.input[:] = [source, "pixel_scale", "pixel_zero"]
        for node in chain:
            if node.op_type != "DequantizeLinear":
                graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    for item in [item for item in graph.initializer if item.name not in used]:
        graph.initializer.remove(item)
    onnx.checker.check_model(model)
    onnx.save(model, path)


_PREPARATION = ("Cast", "Sub", "Div", "QuantizeLinear")


def _names(graph: onnx.GraphProto) -> list[str]:
    return ["pixels", *(name for node in graph.node for name in node.output)]


def store_small(path: Path) -> None:
    """Store the large matrices of MatMul, Gemm and Gather in 8 bits, one scale a row or column.

    The scale follows the output: a column for MatMul, a row for Gemm with transB, a row of a table.
    Plain Cast and Mul restore them, so any runtime folds them once when the file is opened.
    """
    model = onnx.load(path)
    graph = model.graph
    matrices = {item.name: item for item in graph.initializer}
    for node in list(graph.node):
        slot = {"MatMul": 1, "Gemm": 1, "Gather": 0}.get(node.op_type)
        if slot is None or node.input[slot] not in matrices:
            continue
        # Taken out once: another node that reads the same matrix reads the restored one.
        item = matrices.pop(node.input[slot])
        values = numpy_helper.to_array(item)
        if values.dtype != np.float32 or values.ndim != 2 or values.size < SMALLEST_STORED:
            continue
        by_row = node.op_type == "Gather" or any(
            a.name == "transB" and a.i == 1 for a in node.attribute
        )
        axis = 1 if by_row else 0
        scale = np.maximum(np.abs(values).max(axis, keepdims=True), 1e-12) / 127
        stored = np.clip(np.round(values / scale), -127, 127).astype(np.int8)
        name = item.name
        graph.initializer.remove(item)
        graph.initializer.append(numpy_helper.from_array(stored, f"{name}_q"))
        graph.initializer.append(numpy_helper.from_array(scale.astype(np.float32), f"{name}_scale"))
        index = list(graph.node).index(node)
        if node.op_type == "Gather":
            new = _restore_rows(node, name)
        else:
            new = [
                helper.make_node("Cast", [f"{name}_q"], [f"{name}_f"], to=TensorProto.FLOAT),
                helper.make_node("Mul", [f"{name}_f", f"{name}_scale"], [name]),
            ]
        for offset, made in enumerate(new):
            graph.node.insert(index + offset, made)
        if node.op_type == "Gather":
            graph.node.remove(node)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def multiply_small(path: Path) -> None:
    """Multiply the large matrices of Gemm and MatMul in 8 bits, one scale for every row of a batch.

    The scale of a row is its own largest number, so rows do not touch each other, unlike in
    DynamicQuantizeLinear. Weights have 7 bits, as in the convolutions. A quarter of the memory is
    read for each picture, which is what the time of a batch of one goes into.
    """
    model = onnx.load(path)
    graph = model.graph
    matrices = {item.name: item for item in graph.initializer}
    constants: dict[str, np.ndarray] = {
        "row_levels": np.array(127, np.float32),
        "row_zero": np.array(128, np.uint8),
        "row_shift": np.array(128, np.float32),
        "row_least": np.array(1e-9, np.float32),
    }
    for node in list(graph.node):
        if node.op_type not in ("Gemm", "MatMul") or node.input[1] not in matrices:
            continue
        values = numpy_helper.to_array(matrices[node.input[1]])
        if values.size < SMALLEST_STORED:
            continue
        if any(a.name == "transB" and a.i == 1 for a in node.attribute):
            values = values.T
        scale = np.maximum(np.abs(values).max(0), 1e-12) / WEIGHT_LEVELS
        name = node.output[0]
        constants[f"{name}/weight"] = np.round(values / scale).astype(np.int8)
        constants[f"{name}/scale"] = scale.astype(np.float32)
        bias = node.input[2] if len(node.input) > 2 else ""
        index = list(graph.node).index(node)
        graph.node.remove(node)
        for offset, made in enumerate(_row_product(node.input[0], name, bias)):
            graph.node.insert(index + offset, made)
    graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in constants.items())
    used = {name for node in graph.node for name in node.input}
    for item in [item for item in graph.initializer if item.name not in used]:
        graph.initializer.remove(item)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _row_product(rows: str, name: str, bias: str) -> list[onnx.NodeProto]:
    """rows (n, p) times the 8-bit matrix kept for the node `name`, plus its bias if any."""

    def step(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
        return helper.make_node(kind, inputs, [output], **attributes)

    at = [f"{name}/{part}" for part in ("abs", "max", "safe", "unit", "ratio", "round", "high")]
    size, peak, safe, unit, ratio, near, high = at
    sums = f"{name}/sums"
    steps = [
        step("Abs", [rows], size),
        step("ReduceMax", [size], peak, axes=[1], keepdims=1),
        step("Max", [peak, "row_least"], safe),
        step("Div", [safe, "row_levels"], unit),
        step("Div", [rows, unit], ratio),
        step("Round", [ratio], near),
        step("Add", [near, "row_shift"], high),
        step("Cast", [high], f"{name}/bytes", to=TensorProto.UINT8),
        step("MatMulInteger", [f"{name}/bytes", f"{name}/weight", "row_zero"], sums),
        step("Cast", [sums], f"{name}/real", to=TensorProto.FLOAT),
        step("Mul", [f"{name}/real", unit], f"{name}/rows"),
        step("Mul", [f"{name}/rows", f"{name}/scale"], f"{name}/plain" if bias else name),
    ]
    return [*steps, step("Add", [f"{name}/plain", bias], name)] if bias else steps


def _restore_rows(node: onnx.NodeProto, name: str) -> list[onnx.NodeProto]:
    """Gather in 8 bits, then restore only the rows that were taken."""
    out, ids = node.output[0], node.input[1]
    return [
        helper.make_node("Gather", [f"{name}_q", ids], [f"{out}_q"], axis=0),
        helper.make_node("Gather", [f"{name}_scale", ids], [f"{out}_s"], axis=0),
        helper.make_node("Cast", [f"{out}_q"], [f"{out}_f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{out}_f", f"{out}_s"], [out]),
    ]
