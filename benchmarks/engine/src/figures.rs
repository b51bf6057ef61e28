//! Reads the engine's own figures, as its page for Prometheus tells them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

const PREFIX: &str = "countersign_engine_";

pub struct Figures(BTreeMap<String, u64>);

/// An address that nobody listens on now.
pub fn address() -> Result<String, String> {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    free.map(|address| address.to_string())
        .map_err(|cause| cause.to_string())
}

impl Figures {
    pub fn read(address: &str) -> Result<Figures, String> {
        let page = || {
            let mut page = String::new();
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            stream.read_to_string(&mut page)?;
            Ok::<_, std::io::Error>(page)
        };
        let page = page().map_err(|cause| cause.to_string())?;
        let figure = |line: &str| {
            let (name, value) = line.strip_prefix(PREFIX)?.rsplit_once(' ')?;
            Some((name.to_string(), value.parse().ok()?))
        };
        Ok(Figures(page.lines().filter_map(figure).collect()))
    }

    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// A stage's p50 and p99 between two readings, microseconds: straight lines between the bounds that it is told by.
    /// `None` where the engine tells no stages.
    pub fn stage(&self, before: &Figures, stage: &str) -> Option<(u64, u64)> {
        let name = |bound: &str| {
            format!("order_stage_microseconds_bucket{{stage=\"{stage}\",le=\"{bound}\"}}")
        };
        let since = |bound: &str| self.get(&name(bound)) - before.get(&name(bound));
        let total = since("+Inf");
        let at = |percent: u64| {
            let wanted = total * percent / 100;
            let (mut low, mut below) = (0, 0);
            for bound in (0..20).map(|power| 1u64 << power) {
                let upto = since(&bound.to_string());
                if upto >= wanted && upto > below {
                    return low + (bound - low) * (wanted - below) / (upto - below);
                }
                (low, below) = (bound, upto);
            }
            low
        };
        (total > 0).then(|| (at(50), at(99)))
    }
}
