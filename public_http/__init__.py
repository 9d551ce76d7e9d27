"""HTTP to places that clients name, without being led to private ones (SSRF): checked names, checked connections."""
