"""What recipes build their networks of: layers, optimiser, schedule, validation, ONNX nodes."""
