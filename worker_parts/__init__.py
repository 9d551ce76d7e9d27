"""What the worker process is put together from; only `worker.py` puts it together."""
