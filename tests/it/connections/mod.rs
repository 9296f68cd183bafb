//! How servers are reached, and that it is always the same ones.

mod identity;
mod sessions;
mod silence;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod tls;
