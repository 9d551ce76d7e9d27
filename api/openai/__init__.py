"""OpenAI's images API on Diorama: its words in, its words out, and between them an ordinary generation."""
