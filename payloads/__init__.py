"""What Temporal stores, encrypted: keys, the codec, and the converter that every client gets."""
