"""LitServe and ONNX Runtime, as LitServe's documentation has it: requests that wait together are run together.

One worker, since ONNX Runtime spreads a run over all cores by itself; ZeroMQ between the processes (``fast_queue``), which
LitServe advises above 100 requests a second. A timeout of 0 would keep a core busy with looking for requests.
"""

import sys

import litserve
import numpy as np
from fastapi import Response

from benchmarks.peers.generator import Draw, Generator, to_npy

MAX_BATCH_REQUESTS, BATCH_TIMEOUT_SECONDS = 64, 0.002


class Api(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        self.generator = Generator()

    def decode_request(self, request: Draw) -> np.ndarray:
        return self.generator.latents(request)

    def batch(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """As they are: requests of different counts cannot be stacked."""
        return inputs

    def predict(self, x: list[np.ndarray]) -> list[np.ndarray]:
        ends = np.cumsum([len(z) for z in x])
        return np.split(self.generator.images(np.concatenate(x)), ends[:-1])

    def encode_response(self, output: np.ndarray) -> Response:
        return Response(to_npy(output), media_type="application/x-npy")


if __name__ == "__main__":
    api = Api(max_batch_size=MAX_BATCH_REQUESTS, batch_timeout=BATCH_TIMEOUT_SECONDS, api_path="/generate")
    server = litserve.LitServer(api, accelerator="cpu", fast_queue=True)  # the session chooses its device by itself
    server.run("127.0.0.1", int(sys.argv[1]), log_level="warning", generate_client_file=False)
