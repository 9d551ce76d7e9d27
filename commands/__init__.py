"""The subcommands of `diorama`, one a file; clients of the public HTTP API like any other, but for the stack's own."""
