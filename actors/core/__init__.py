"""Sans-IO logic: decisions and state machines that know no clock, socket, disk or thread."""
