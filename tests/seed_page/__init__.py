"""What the tests of the flow-control page stand on."""
