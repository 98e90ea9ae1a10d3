"""What tests and the demo use: contract suites for connectors, and stand-ins for other companies' systems."""
