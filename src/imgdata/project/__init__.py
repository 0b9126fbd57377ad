"""imgdata.yaml and the event log: what a person decided, and what imgdata noted."""
