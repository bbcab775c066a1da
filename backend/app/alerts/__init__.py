"""What a person has to be told: alerts as rows, sent to each channel once, acknowledged by a person."""
