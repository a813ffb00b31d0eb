"""A fitted network in formats that others load: SavedModel, `.keras`, OpenVINO's graph, ONNX."""
