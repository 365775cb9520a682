//! The HTTP listeners: health, metrics, and one folder per dialect.

mod settings;

pub use settings::Settings;
