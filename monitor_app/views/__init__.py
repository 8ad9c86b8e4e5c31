"""Qt widgets. Each gets what it shows in its constructor; `plotting` alone imports pyqtgraph."""
