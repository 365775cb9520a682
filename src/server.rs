//! Composition root: build, restore sessions, open sockets, drain, stop.
