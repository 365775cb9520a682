//! The only SQL: three databases behind one interface; rows never leave this folder.
