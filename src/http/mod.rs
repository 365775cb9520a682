//! The HTTP listeners: health, metrics, and one folder per dialect.
