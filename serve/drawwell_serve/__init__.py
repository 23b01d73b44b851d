"""drawwell over HTTP: BentoML around a Starlette application, images from ONNX Runtime."""

import sys
from pathlib import Path

if __name__ != "drawwell_serve":
    # bentofile.yaml packs the folder serve/ and names serve.drawwell_serve.service: there, drawwell_serve is not installed
    sys.path.insert(0, str(Path(__file__).parents[1]))
