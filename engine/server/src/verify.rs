//! Reads a journal and says what it holds: offline, or beside the engine that writes it.

use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use countersign_journal::{Error, Record, Scan, scan, scan_closed};
use countersign_venue::{Output, Venue};
use countersign_wire::v1::{VerifyReport, VerifyState};

use crate::engine::wall_ms;

/// A sign of progress after so many records.
const TOLD_EVERY: u64 = 1 << 16;
const NICE: i32 = 19;

/// Replays the journal in `folder` and prints what it gives. `closed`: only what is never written again, for
/// [`Verifying`] to read.
pub fn run(folder: &Path, closed: bool) -> Result<(), String> {
    let mut venue = Venue::new();
    let mut output = Output::default();
    let mut first = 0;
    let visit = |record: Record<'_>| {
        output.clear();
        venue.replay(record.time_ns, record.bytes, &mut output).map_err(|cause| cause.to_string())?;
        if first == 0 {
            first = record.seq;
        }
        if closed && record.seq.is_multiple_of(TOLD_EVERY) {
            // Fails once nobody listens any more: then this process ends too.
            println!("last {}", record.seq);
        }
        Ok(())
    };
    if closed {
        // Refused or not, the journal is read.
        rustix::process::setpriority_process(None, NICE).ok();
        let scan = scan_closed(folder, visit).map_err(|error| error.to_string())?;
        venue.audit()?;
        print_figures(&scan, first, &venue);
        return Ok(());
    }
    let scan = scan(folder, 0, visit).map_err(|error| error.to_string())?;
    if scan.segments == 0 {
        return Err(Error::Empty(folder.to_path_buf()).to_string());
    }
    venue.audit()?;
    print_sentences(&scan, &venue);
    Ok(())
}

fn print_sentences(scan: &Scan, venue: &Venue) {
    println!("journal    {} records in {} segments, {} bytes", scan.records, scan.segments, scan.bytes);
    if scan.torn_bytes > 0 {
        println!("torn tail  {} bytes that were never acknowledged", scan.torn_bytes);
    }
    println!(
        "sequence   engine {}, event {}, epoch {}",
        venue.engine_seq(),
        venue.event_seq(),
        venue.epoch()
    );
    println!("state      {} open orders, {} accounts", venue.open_orders_count(), venue.accounts_count());
    println!("events     {}", hex(&venue.chain()));
    println!("state hash {}", hex(&venue.state_hash()));
}

fn print_figures(scan: &Scan, first: u64, venue: &Venue) {
    println!(
        "segments {}\nblocks {}\nrecords {}\nbytes {}",
        scan.segments, scan.blocks, scan.records, scan.bytes
    );
    println!("first {first}\nlast {}", venue.engine_seq());
    println!("chain {}\nstate {}", hex(&venue.chain()), hex(&venue.state_hash()));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string");
        text
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// The latest verification beside this engine.
///
/// It runs in a process of its own. Replaying everything takes the memory of a second venue, and ends at once where a
/// record breaks a promise; neither may reach the process that leads.
#[derive(Clone)]
pub struct Verifying {
    folder: PathBuf,
    report: Arc<Mutex<VerifyReport>>,
}

impl Verifying {
    pub fn new(folder: &Path) -> Verifying {
        Verifying { folder: folder.to_path_buf(), report: Arc::default() }
    }

    pub fn told(&self) -> VerifyReport {
        self.report.lock().expect("nobody panics while holding it").clone()
    }

    /// Begins, unless one is under way.
    pub fn begin(&self) -> Result<(), String> {
        let mut report = self.report.lock().expect("nobody panics while holding it");
        if report.state() == VerifyState::Running {
            return Ok(());
        }
        // This very program, also where an upgrade has put another one in its place.
        let mut command = Command::new("/proc/self/exe");
        command.arg("verify").arg("--closed").arg("--dir").arg(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|cause| format!("cannot verify: {cause}"))?;
        *report = VerifyReport {
            state: VerifyState::Running as i32,
            started_at_ms: wall_ms(),
            ..VerifyReport::default()
        };
        drop(report);
        let report = Arc::clone(&self.report);
        let follow = move || {
            let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
            for line in lines.map_while(Result::ok) {
                note(&mut report.lock().expect("nobody panics while holding it"), &line);
            }
            let mut said = String::new();
            child.stderr.take().expect("it is piped").read_to_string(&mut said).ok();
            let sound = child.wait().is_ok_and(|status| status.success());
            let mut report = report.lock().expect("nobody panics while holding it");
            report.finished_at_ms = wall_ms();
            report.state = if sound { VerifyState::Sound } else { VerifyState::Broken } as i32;
            if !sound {
                let said = said.trim().trim_start_matches("countersign-engine: ");
                report.finding =
                    if said.is_empty() { "it was ended from outside".into() } else { said.into() };
                eprintln!("engine: the journal was verified and is not sound: {}", report.finding);
            }
        };
        thread::Builder::new().name("verify".into()).spawn(follow).expect("a thread can start");
        Ok(())
    }
}

/// Takes in one line of [`print_figures`].
fn note(report: &mut VerifyReport, line: &str) {
    let Some((name, value)) = line.split_once(' ') else { return };
    let number = || value.parse().unwrap_or_default();
    match name {
        "segments" => report.segments = number(),
        "blocks" => report.blocks = number(),
        "records" => report.records = number(),
        "bytes" => report.bytes = number(),
        "first" => report.first_seq = number(),
        "last" => report.last_seq = number(),
        "chain" => report.event_chain = from_hex(value).unwrap_or_default(),
        "state" => report.state_hash = from_hex(value).unwrap_or_default(),
        _ => {}
    }
}
