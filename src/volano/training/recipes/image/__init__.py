"""The recipe `image`: a classifier of pictures, trained from their bytes.

`recipe` reads from top to bottom; what it calls, in this order: `form` (how large and whether in
colour), `staged` (pictures from the staged files), `baseline` (what the network must beat),
`augment` (other pictures of the same things), `network` (one small network), `export` (the ONNX
graph), `cautions` (what to know before trusting the figures).
"""
