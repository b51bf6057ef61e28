//! Writes `wire/src/exchange.engine.v1.rs` from a set of descriptors; with `--check` says whether it is up to date.
//!
//! `bin/proto` has the set made from `proto/` by the same protoc that writes the Python side, so that no second
//! compiler of definitions is built, and both sides are made from one reading of them.
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use prost::Message as _;
use prost_types::FileDescriptorSet;

const GENERATED: &str = "exchange.engine.v1.rs";

fn main() -> ExitCode {
    let engine =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("wiregen lies in engine/").to_path_buf();
    let committed = engine.join("wire/src").join(GENERATED);
    let mut arguments = env::args().skip(1);
    let Some(descriptors) = arguments.next() else {
        eprintln!("usage: countersign-wiregen DESCRIPTORS [--check]  (bin/proto makes them)");
        return ExitCode::FAILURE;
    };
    let fresh = generate(&fs::read(descriptors).expect("the descriptors can be read"));
    if arguments.any(|argument| argument == "--check") {
        if fs::read_to_string(&committed).is_ok_and(|text| text == fresh) {
            return ExitCode::SUCCESS;
        }
        eprintln!("engine/wire is not what proto/ generates: run make proto");
        return ExitCode::FAILURE;
    }
    fs::write(&committed, fresh).expect("wire/src can be written");
    ExitCode::SUCCESS
}

/// The Rust source that these descriptors give.
fn generate(descriptors: &[u8]) -> String {
    let descriptors = FileDescriptorSet::decode(descriptors).expect("a set of descriptors");
    let out = env::temp_dir().join(format!("countersign-wiregen-{}", std::process::id()));
    fs::create_dir_all(&out).expect("a temporary folder");
    tonic_prost_build::configure()
        .out_dir(&out)
        // Ids go from a frame into its answer without being copied.
        .bytes(".exchange.engine.v1.Command.command_id")
        .bytes(".exchange.engine.v1.CommandResult.command_id")
        .compile_fds(descriptors)
        .expect("code can be generated from the descriptors");
    let text = fs::read_to_string(out.join(GENERATED)).expect("one file per package");
    fs::remove_dir_all(&out).ok();
    text
}
