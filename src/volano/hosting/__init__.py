"""Hosts Volano on one machine: starts its processes, and real servers beside them."""
