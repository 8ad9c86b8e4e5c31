"""What the monitor knows, without Qt: sources, ingest, history and the words for what is seen."""
