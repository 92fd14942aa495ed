//! The products dialect, held to every row of `products.md`; one module per group of routes.

mod tokens;
