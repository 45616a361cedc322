"""What must survive: processes killed at random points, and power cuts."""
