"""FastAPI and ONNX Runtime, as FastAPI's documentation has it: a sync endpoint, which runs in its pool of threads.

Served by ``uvicorn benchmarks.peers.fastapi_peer:app`` with uvloop and httptools, and without an access log.
"""

from fastapi import FastAPI, Response

from benchmarks.peers.generator import Draw, Generator, to_npy

app = FastAPI()
generator = Generator()


@app.post("/generate")  # type: ignore[untyped-decorator]
def generate(asked: Draw) -> Response:
    """Draw on a thread: ``run`` lets go of the interpreter, so that the event loop answers others meanwhile."""
    images = generator.images(generator.latents(asked))
    return Response(to_npy(images), media_type="application/x-npy")
