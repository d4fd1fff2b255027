"""What came out: verification, manifest, previews, streamed archives."""
