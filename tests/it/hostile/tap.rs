//! A proxy that can hold up, cut, or lead astray the binlog stream, and nothing else.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use online_alter::OnlineAlter;
use online_alter_support::{Database, Server};

use crate::stream::CLAUSE;

/// In front of a server. Its threads end with their connections, or with the test.
pub(super) struct Tap {
    port: u16,
    wire: Arc<Wire>,
}

#[derive(Default)]
struct Wire {
    /// Where new connections lead to.
    server: AtomicU16,
    /// How many streams there have been.
    streams: AtomicUsize,
    /// The streams up to this number hear nothing.
    silent: AtomicUsize,
    /// The stream is cut when it has carried so many more bytes.
    cut_after: AtomicUsize,
    cuts: AtomicUsize,
}

impl Tap {
    pub(super) fn start(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let wire = Arc::new(Wire::default());
        wire.server.store(server.port(), SeqCst);
        wire.cut_after.store(usize::MAX, SeqCst);
        let shared = Arc::clone(&wire);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let to = ("127.0.0.1", shared.server.load(SeqCst));
                let Ok(server) = TcpStream::connect(to) else { continue };
                let _ = client.set_nodelay(true);
                let _ = server.set_nodelay(true);
                let (answers, back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let (there, here) = (Arc::clone(&shared), Arc::clone(&shared));
                let number = Arc::new(AtomicUsize::new(0));
                let numbered = Arc::clone(&number);
                std::thread::spawn(move || requests(client, server, &there, &number));
                std::thread::spawn(move || hears(answers, back, &here, &numbered));
            }
        });
        Tap { port, wire }
    }

    /// An alter through it.
    pub(super) fn alter(&self, server: &Server, db: &Database) -> OnlineAlter {
        let url = db.url().replace(&server.port().to_string(), &self.port.to_string());
        OnlineAlter::new(url, "t")
            .alter(CLAUSE)
            .on_mismatch(online_alter::OnMismatch::Stop)
            .heartbeat_interval(Duration::from_millis(50))
    }

    /// No stream hears anything, until [`speak`](Self::speak).
    pub(super) fn silence_all(&self) {
        self.wire.silent.store(usize::MAX, SeqCst);
    }

    /// The streams that there are hear nothing any more.
    pub(super) fn silence_present(&self) {
        self.wire.silent.store(self.wire.streams.load(SeqCst), SeqCst);
    }

    pub(super) fn speak(&self) {
        self.wire.silent.store(0, SeqCst);
    }

    /// Ends the stream's connection when it has carried so many more bytes, once.
    pub(super) fn cut_after(&self, bytes: usize) {
        self.wire.cut_after.store(bytes, SeqCst);
    }

    pub(super) fn cuts(&self) -> usize {
        self.wire.cuts.load(SeqCst)
    }

    /// New connections lead to another server.
    pub(super) fn lead_to(&self, server: &Server) {
        self.wire.server.store(server.port(), SeqCst);
    }
}

fn requests(mut client: TcpStream, mut server: TcpStream, wire: &Wire, number: &AtomicUsize) {
    const COM_BINLOG_DUMP: u8 = 0x12;
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        if buffer[..length].get(3..5) == Some(&[0, COM_BINLOG_DUMP]) {
            number.store(wire.streams.fetch_add(1, SeqCst) + 1, SeqCst);
        }
        if server.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

fn hears(mut from: TcpStream, mut to: TcpStream, wire: &Wire, number: &AtomicUsize) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let is_silent = || {
            let number = number.load(SeqCst);
            number != 0 && number <= wire.silent.load(SeqCst)
        };
        while is_silent() {
            std::thread::sleep(Duration::from_millis(2));
        }
        if number.load(SeqCst) != 0 && wire.cut_after.load(SeqCst) != usize::MAX {
            let left = wire.cut_after.load(SeqCst);
            if left < length {
                wire.cut_after.store(usize::MAX, SeqCst);
                wire.cuts.fetch_add(1, SeqCst);
                break;
            }
            wire.cut_after.store(left - length, SeqCst);
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
