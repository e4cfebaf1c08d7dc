"""Image files with all that they carry: pixels, colour profile, metadata, pages; written atomically."""
