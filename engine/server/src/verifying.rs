//! Verifying the journal beside the engine that writes it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use countersign_wire::v1::{VerifyReport, VerifyState};

use crate::clock::wall_ms;

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

/// Takes in one line of what `verify --closed` prints.
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
        "replayed" => report.replayed_after_seq = number(),
        "events" => {
            let (first, last) = value.split_once(' ').unwrap_or_default();
            report.first_event_seq = first.parse().unwrap_or_default();
            report.last_event_seq = last.parse().unwrap_or_default();
        }
        "chain" => report.event_chain = from_hex(value).unwrap_or_default(),
        "state" => report.state_hash = from_hex(value).unwrap_or_default(),
        _ => {}
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
