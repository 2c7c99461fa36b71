"""torch modules → ONNX files of plain operators."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import Tensor, nn

OPSET = 17


def to_onnx(
    module: nn.Module,
    inputs: dict[str, Tensor],
    outputs: list[str],
    path: Path,
    dynamic: dict[str, dict[int, str]],
) -> None:
    """Write a module in eval mode; padding layers become attributes of their convolutions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=outputs,
            dynamic_axes=dynamic,
            opset_version=OPSET,
            dynamo=False,
        )
    fold_constants(path)
    model = onnx.load(path)
    _fold_pads(model.graph)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def fold_constants(path: Path) -> None:
    """Rewrite a file with the portable ("basic") optimisations of ONNX Runtime already done."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])


def _fold_pads(graph: onnx.GraphProto) -> None:
    """Pad → Conv becomes Conv with asymmetric pads: a Pad between them would block 8-bit fusion."""
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    made = {node.output[0]: node for node in graph.node}
    for node in graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    folded: dict[str, onnx.NodeProto] = {}
    for conv in graph.node:
        pad = made.get(conv.input[0]) if conv.op_type == "Conv" else None
        if pad is None or pad.op_type != "Pad":
            continue
        amounts = np.asarray(constants[pad.input[1]])
        begin, end = amounts[2:4], amounts[6:8]
        attribute = next(a for a in conv.attribute if a.name == "pads")
        del attribute.ints[:]
        attribute.ints.extend(int(amount) for amount in (*begin, *end))
        conv.input[0] = pad.input[0]
        folded[pad.output[0]] = pad
    for name, pad in folded.items():
        if not any(name in node.input for node in graph.node):
            graph.node.remove(pad)
