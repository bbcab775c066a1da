"""What can be traded and what it trades at: symbol look-ups, asked of the data worker and remembered."""
