//! Writes `wire/src/exchange.engine.v1.rs` from `proto/`; with `--check` says whether it is up to date.
//!
//! protox compiles the definitions, so no protoc is needed on any machine, and building the engine itself needs
//! neither.
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

const GENERATED: &str = "exchange.engine.v1.rs";

fn main() -> ExitCode {
    let engine =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("wiregen lies in engine/").to_path_buf();
    let committed = engine.join("wire/src").join(GENERATED);
    let fresh = generate(&engine.join("../proto"));
    if env::args().any(|argument| argument == "--check") {
        if fs::read_to_string(&committed).is_ok_and(|text| text == fresh) {
            return ExitCode::SUCCESS;
        }
        eprintln!("engine/wire is not what proto/ generates: run cargo run -p countersign-wiregen");
        return ExitCode::FAILURE;
    }
    fs::write(&committed, fresh).expect("wire/src can be written");
    ExitCode::SUCCESS
}

/// The Rust source that the definitions below `proto` give.
fn generate(proto: &Path) -> String {
    let mut files: Vec<PathBuf> = fs::read_dir(proto.join("exchange/engine/v1"))
        .expect("proto/exchange/engine/v1 can be read")
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "proto"))
        .collect();
    files.sort();
    let descriptors = protox::compile(&files, [proto]).expect("proto/ compiles");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_code_is_what_the_definitions_give() {
        let engine = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let committed = fs::read_to_string(engine.join("wire/src").join(GENERATED)).unwrap();
        assert!(committed == generate(&engine.join("../proto")), "run cargo run -p countersign-wiregen");
    }
}
