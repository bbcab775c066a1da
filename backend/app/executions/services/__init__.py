"""What is written: one file for each verb. Services are the only writers of these rows."""
