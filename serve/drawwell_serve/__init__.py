"""drawwell over HTTP: BentoML around a Starlette application, images from ONNX Runtime."""
