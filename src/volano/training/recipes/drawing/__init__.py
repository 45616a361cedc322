"""The recipe `drawing`: a recogniser of drawings, trained from their strokes."""
