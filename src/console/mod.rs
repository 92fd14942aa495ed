//! The console room: the pages of the web UI and what no dialect offers them (`ui.md`).
