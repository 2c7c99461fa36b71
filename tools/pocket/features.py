"""What the image towers see in pictures."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime

WORKERS = 2
BATCH = 4


def session(path: Path) -> onnxruntime.InferenceSession:
    """A session of one thread: several workers share it, which is the fastest way on any CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def pooled_features(graph: Path, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pooled features (n, p) and class logits (n, 1000) of pictures, from a towers' graph."""
    run = session(graph)
    widths = [out.shape[1] for out in run.get_outputs()]
    pooled, logits = (np.empty((len(pixels), width), np.float32) for width in widths)

    def one(start: int) -> None:
        rows = slice(start, start + BATCH)
        outputs = run.run(None, {"pixels": np.ascontiguousarray(pixels[rows])})
        pooled[rows], logits[rows] = outputs

    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in pool.map(one, range(0, len(pixels), BATCH)):
            pass
    return pooled, logits
