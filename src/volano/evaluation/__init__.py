"""How good something is: figures, calibration and how sure both are."""
