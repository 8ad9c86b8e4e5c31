"""What the benchmarks measure with: the rows of their table, the floors, and the drivers that run floor and subject alike."""
