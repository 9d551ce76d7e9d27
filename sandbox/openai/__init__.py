"""OpenAI's Images, Moderations and Models endpoints."""
