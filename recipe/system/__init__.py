"""The machine and its files: device, memory, disk, signals, threads; files written whole or not at all."""
