//! Rules that this program does not know: it leaves what was written under them alone, and says what to do.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Program;

use countersign_journal::{Block, Journal, Options};
use countersign_venue::{Command, LOGIC_VERSION};
use countersign_wire::v1::Empty;

use crate::process::{self, Ids, Process};
use crate::trade;

/// Every file below the folder; whoever looks for a leader touches the lock.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(contents(&path)),
            false if path.ends_with("LOCK") => {}
            false => drop(found.insert(path.clone(), fs::read(path).unwrap())),
        }
    }
    found
}

/// What a leader of newer rules writes before anything else.
fn lead_by_newer_rules(folder: &Path) {
    let (mut journal, scan) = Journal::open(folder, &Options::default(), false, 0, |_| Ok(())).unwrap();
    let mut block = Block::default();
    block.start(scan.next_seq);
    let command = Command::Lead { epoch: 9, logic_version: LOGIC_VERSION + 1 };
    block.push(u64::MAX >> 2, |bytes| command.encode(bytes));
    journal.append(&mut block).unwrap();
}

fn verify(process: &Process) -> String {
    let mut verify = Program::new(env!("CARGO_BIN_EXE_countersign-engine"));
    let told = verify.arg("verify").arg("--dir").arg(process.path("journal")).output().unwrap();
    assert!(!told.status.success());
    String::from_utf8(told.stderr).unwrap()
}

#[tokio::test]
async fn leaves_a_journal_of_newer_rules_as_it_is_and_says_what_to_start() {
    let mut process = Process::fresh();
    process.list_and_fund().await;
    trade(&process, &mut Ids, 1, 200).await;
    let mut admin = process::admin_client(process.admin().await);
    admin.take_snapshot(Empty {}).await.unwrap();
    trade(&process, &mut Ids, 1_001, 200).await;
    let standby = process.path("standby.sock");
    let follow = ["--standby-socket", standby.to_str().unwrap(), "--take-over", "auto"];
    process.kill();
    let folder = process.path("journal");
    lead_by_newer_rules(&folder);
    let says = format!("logic version {} counts", LOGIC_VERSION + 1);
    // The record alone is enough, for a standby before it would have to lead.
    for said in [process.try_start(&[]), process.try_start(&follow), verify(&process)] {
        assert!(said.contains(&says) && said.contains("start the program that wrote it"), "{said}");
    }
    // A leader of newer rules has written this file before its record: then not even an event is touched.
    fs::write(folder.join("logic"), format!("{}\n", LOGIC_VERSION + 1)).unwrap();
    let before = contents(&folder);
    for said in
        [process.try_start(&[]), process.try_start(&["--init"]), process.try_start(&follow), verify(&process)]
    {
        assert!(said.contains(&says) && said.contains("nothing was changed"), "{said}");
    }
    assert!(contents(&folder) == before);
}
