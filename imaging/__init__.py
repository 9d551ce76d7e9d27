"""Pure pixels in, pixels out: no network, no files, no settings. Everything is synchronous; call it in a thread."""
