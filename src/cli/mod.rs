//! The command line: forms, tables, JSON, exit codes.
