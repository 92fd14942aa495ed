//! The winget room: the Winget-Repo API and the Microsoft.Rest source over one store of packages (`winget.md`).
