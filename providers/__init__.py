"""Who makes the pictures: one file per vendor behind one Protocol, and the catalog of models."""
