//! Reads a journal offline and says what it holds.

use std::fmt::Write;
use std::path::Path;

use countersign_journal::{Error, scan};
use countersign_venue::{Output, Venue};

pub fn run(folder: &Path) -> Result<(), String> {
    let mut venue = Venue::new();
    let mut output = Output::default();
    let scan = scan(folder, 0, |record| {
        output.clear();
        venue.replay(record.time_ns, record.bytes, &mut output).map_err(|cause| cause.to_string())?;
        Ok(())
    })
    .map_err(|error| error.to_string())?;
    if scan.segments == 0 {
        return Err(Error::Empty(folder.to_path_buf()).to_string());
    }
    venue.audit()?;
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
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string");
        text
    })
}
