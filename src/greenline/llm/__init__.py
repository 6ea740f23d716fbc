"""Model providers behind one interface, the cascade between them, and the offline model."""
