"""WaveSpeed's protocol: tasks behind `/wavespeed/api/v3`, their bills, uploads by ticket, and webhooks of its own signature."""
