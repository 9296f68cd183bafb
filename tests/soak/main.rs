//! The soak: alters without end, under journaled writers, on a server of each kind, while random things go wrong.
//! `make soak`, or `SOAK_MINUTES=2 SOAK_SEED=7 cargo test --release --features http,rustls --test soak -- --ignored --nocapture`.
//!
//! Each round is an alter with random options, and with faults until some random moment; it is judged by the writers' journal,
//! by what is left on the server, and by whether it came to an end. The choices of a round depend on nothing but its
//! seed, which it prints; when they take effect does not.
//! `docs/RELIABILITY.md` has the figures.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and says what it saw"
)]

mod fault;
mod postponed;
mod proxy;
#[path = "../differential/rng.rs"]
#[allow(dead_code, reason = "shared with tests that choose more")]
mod rng;
mod round;
mod tally;

use std::thread;
use std::time::{Duration, Instant};

use online_alter_support::{Flavor, Server, available};

use crate::rng::Rng;
use crate::round::Lane;
use crate::tally::Tally;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect(name))
}

#[test]
#[ignore = "takes half an hour: make soak"]
fn soak() {
    let _ = env_logger::try_init();
    let (minutes, seed) = (number("SOAK_MINUTES", 30), number("SOAK_SEED", 1));
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let only = std::env::var("ONLINE_ALTER_ONLY").ok();
    let flavors = [Flavor::Mysql, Flavor::MariaDb].into_iter();
    let flavors: Vec<Flavor> =
        flavors.filter(|f| only.as_ref().is_none_or(|only| *only == f.to_string())).collect();
    println!("soak: {minutes} min on {flavors:?}, seed {seed}");
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let lanes = flavors.iter().enumerate().map(|(at, flavor)| {
            let seeds = Rng::new(seed.wrapping_add(at as u64 * 1_000_003));
            scope.spawn(move || {
                let server = available(Server::builder(*flavor).durable().start())?;
                let mut lane = Lane::new(server);
                while Instant::now() < end {
                    lane.round(seeds.next());
                }
                Some(lane.into_tally())
            })
        });
        let lanes: Vec<_> = lanes.collect();
        lanes.into_iter().filter_map(|lane| lane.join().unwrap()).collect()
    });
    for tally in &tallies {
        println!("{tally}");
    }
    assert!(tallies.len() == flavors.len() && !tallies.is_empty(), "a server is missing");
    assert!(tallies.iter().all(|tally| tally.altered > 0), "nothing was altered");
    let wrong: Vec<&String> = tallies.iter().flat_map(|tally| &tally.wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
