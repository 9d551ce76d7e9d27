"""Stand-ins for the image providers: they speak the providers' wire protocols, bill play money and break on demand."""
