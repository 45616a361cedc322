"""What is stated of records after they came."""
