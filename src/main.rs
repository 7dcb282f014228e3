//! The `imageswap` program.

fn main() {}
