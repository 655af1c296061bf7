"""Production's data made safe on its way to a lower environment."""
