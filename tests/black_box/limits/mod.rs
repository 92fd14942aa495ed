//! Limits: what a stranger, a slow client or a flood can do to the server, and what it must not do to others.

mod connections;
mod every_route;
mod http_strictness;
mod memory;
mod secrets;
mod slow_clients;
