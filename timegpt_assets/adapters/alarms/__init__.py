"""Ways out of the house for alarms: a file, an address, a mail."""
