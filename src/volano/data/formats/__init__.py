"""How records look outside and in storage: one pure module per format, values in, values out."""
