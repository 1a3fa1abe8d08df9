"""Sessions' neighbours: timelines and lists of devices."""
