//! Settings: the TOML file as written, the environment over it, and the settings as used.
