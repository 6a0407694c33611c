"""The machine and its files: device, memory, disk, signals, threads, console; files written whole or not at all."""
