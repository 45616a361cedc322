"""The recipe `drawing`: a recogniser of drawings, trained from their strokes.

`recipe` reads from top to bottom; what it calls, in this order: `staged` (drawings from the staged
files), `augment` (other drawings of the same things), `network` (two small networks, on what
`raster` and `trace` make of the line segments), `export` (the ONNX graph).
"""
