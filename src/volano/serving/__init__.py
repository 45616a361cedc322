"""What answers: versions on endpoints, warm, swapped without a failed request."""
