"""The local stack: every server Diorama needs, started, watched and ended as one."""
