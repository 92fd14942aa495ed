//! The store: the only code that names redb or touches the data directory.

pub mod table;
