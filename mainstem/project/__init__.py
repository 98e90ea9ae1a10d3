"""A project folder (mainstem.yaml, integrations/, schemas/, connectors/, streams/) read into one checked model."""
