//! The repository room: yum, apt and directory repositories, mirrored and published (`repos.md`).
