//! Packhouse: one shelf of files with several front doors.
