"""ISO 8601 in UTC, with seconds and the zone: a record that says "10:18 p.m." does not say when something was."""

DATETIME_FORMAT = SHORT_DATETIME_FORMAT = r"Y-m-d H:i:s\Z"
DATE_FORMAT = SHORT_DATE_FORMAT = "Y-m-d"
TIME_FORMAT = r"H:i:s\Z"
