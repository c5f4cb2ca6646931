"""What touches the OS, disks and processes: implementations of the ports of `actors.core`."""
