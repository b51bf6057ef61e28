//! What the command line says.

use std::path::PathBuf;

use crate::identity::Identity;
use crate::tls;

pub const USAGE: &str = "\
countersign-engine serve --dir DIR --socket PATH --transfers-socket PATH --admin-socket PATH [--init]
                         [--reader-socket PATH] [--socket-mode 660] [--segment-mib 64] [--events-mib 256] [--threads N] [--no-fsync]
                         [--metrics 127.0.0.1:9464] [--snapshot-every 500000] [--attic-keep 0]
                         [--events-keep 0]
                         [--tls-listen ADDRESS --tls-cert FILE --tls-key FILE --tls-client-ca FILE
                          --tls-orders-name URI --tls-transfers-name URI --tls-admin-name URI
                          --tls-reader-name URI]
                         [--standby-socket PATH [--take-over operator|auto] [--silence-ms 0]]
                         [--trade-unconfirmed]
countersign-engine verify --dir DIR [--closed]
countersign-engine recompute --dir DIR [--events-mib 256]
countersign-engine ask SOCKET status|snapshot|take-over

  serve    replays the journal in DIR and serves; --init lets it begin an empty one
           --threads: for the network; half of the machine's cores unless it is said
           --tls-listen: serves over TCP too; a client's certificate must have one of the names as a URI
           --standby-socket: follows the leader of DIR, and serves once TakeOver was called there,
           or with --take-over auto once the leader is gone; a leader that is silent for --silence-ms is ended first
           --trade-unconfirmed: takes orders at once; without it a leader refuses them until Admin.Confirm, so that
           nobody trades in a market that was stopped while nobody led
  verify   reads the journal in DIR, changes nothing, prints how far it goes and the hash of the state it gives;
           --closed: leaves out the segment that is being written, gives way to every other program, and prints a
           name and a value a line, also on its way
  recompute  writes files of events again that are damaged or were dropped, from the journal and its attic; may run
           beside the engine
  ask      asks the engine at its admin socket, or a standby at its own, how it is, or has the one take a snapshot and
           the other lead; prints the answer, a name and a value a line";

/// Shorter silences are what a busy disk looks like.
const SILENCE_MS_MIN: u64 = 1_000;

#[derive(Debug)]
pub struct Options {
    pub folder: PathBuf,
    pub socket: PathBuf,
    pub transfers_socket: PathBuf,
    pub admin_socket: PathBuf,
    /// For whoever compares the books: events and balances, and nothing else.
    pub reader_socket: Option<PathBuf>,
    pub socket_mode: u32,
    pub init: bool,
    /// `verify` reads only what is never written again.
    pub closed: bool,
    pub segment_bytes: u64,
    /// A file of events is closed at this size.
    pub events_bytes: u64,
    /// For the network; by default half of the machine's, and the other half decides and makes durable.
    pub threads: usize,
    pub fsync: bool,
    pub metrics: Option<String>,
    pub snapshot_every: u64,
    /// Segments that stay in the attic; 0 = all.
    pub attic_keep: usize,
    /// Closed files of events that stay, whoever has settled them; 0 = all.
    pub events_keep: usize,
    pub tls: tls::Options,
    pub standby_socket: Option<PathBuf>,
    /// A standby leads as soon as the leader is gone.
    pub take_over_alone: bool,
    /// A leader that gives no sign of life for so long is ended by the standby; 0 = never.
    pub silence_ms: u64,
    /// Orders wait for nobody: there is no bridge that would confirm a leader.
    pub trade_unconfirmed: bool,
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).max(2)
}

pub fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options {
        folder: PathBuf::new(),
        socket: PathBuf::new(),
        transfers_socket: PathBuf::new(),
        admin_socket: PathBuf::new(),
        reader_socket: None,
        socket_mode: 0o660,
        init: false,
        closed: false,
        segment_bytes: 64 << 20,
        events_bytes: 256 << 20,
        threads: cores() / 2,
        fsync: true,
        metrics: None,
        snapshot_every: 500_000,
        attic_keep: 0,
        events_keep: 0,
        tls: tls::Options::default(),
        standby_socket: None,
        take_over_alone: false,
        silence_ms: 0,
        trade_unconfirmed: false,
    };
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"));
        let number =
            |text: &String| text.parse::<u64>().map_err(|_| format!("{name} needs a number, not {text}"));
        match name.as_str() {
            "--dir" => options.folder = value()?.into(),
            "--socket" => options.socket = value()?.into(),
            "--transfers-socket" => options.transfers_socket = value()?.into(),
            "--admin-socket" => options.admin_socket = value()?.into(),
            "--reader-socket" => options.reader_socket = Some(value()?.into()),
            "--socket-mode" => {
                let text = value()?;
                options.socket_mode =
                    u32::from_str_radix(text, 8).map_err(|_| format!("{text} is no file mode"))?;
            }
            "--segment-mib" => options.segment_bytes = number(value()?)?.clamp(1, 4_096) << 20,
            "--events-mib" => options.events_bytes = number(value()?)?.clamp(1, 65_536) << 20,
            "--threads" => options.threads = number(value()?)?.clamp(1, 64) as usize,
            "--metrics" => options.metrics = Some(value()?.clone()),
            "--snapshot-every" => options.snapshot_every = number(value()?)?,
            "--standby-socket" => options.standby_socket = Some(value()?.into()),
            "--take-over" => {
                options.take_over_alone = match value()?.as_str() {
                    "auto" => true,
                    "operator" => false,
                    other => return Err(format!("--take-over is operator or auto, not {other}")),
                }
            }
            "--silence-ms" => options.silence_ms = number(value()?)?,
            "--attic-keep" => options.attic_keep = number(value()?)? as usize,
            "--events-keep" => options.events_keep = number(value()?)? as usize,
            "--tls-listen" => options.tls.listen = Some(value()?.clone()),
            "--tls-cert" => options.tls.certificate = value()?.into(),
            "--tls-key" => options.tls.key = value()?.into(),
            "--tls-client-ca" => options.tls.client_ca = value()?.into(),
            "--tls-orders-name" => options.tls.names.push((value()?.clone(), Identity::Orders)),
            "--tls-transfers-name" => options.tls.names.push((value()?.clone(), Identity::Transfers)),
            "--tls-admin-name" => options.tls.names.push((value()?.clone(), Identity::Admin)),
            "--tls-reader-name" => options.tls.names.push((value()?.clone(), Identity::Reader)),
            "--trade-unconfirmed" => options.trade_unconfirmed = true,
            "--init" => options.init = true,
            "--closed" => options.closed = true,
            "--no-fsync" => options.fsync = false,
            _ => return Err(format!("unknown option {name}\n{USAGE}")),
        }
    }
    if options.folder.as_os_str().is_empty() {
        return Err(format!("--dir is missing\n{USAGE}"));
    }
    if options.silence_ms != 0 && options.silence_ms < SILENCE_MS_MIN {
        return Err(format!("--silence-ms is at least {SILENCE_MS_MIN}: a slow disk is not a dead leader"));
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(words: &str) -> Result<Options, String> {
        parse(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn refused(words: &str) -> String {
        told(words).map(drop).unwrap_err().lines().next().unwrap_or_default().into()
    }

    #[test]
    fn what_is_not_said_is_the_careful_choice() {
        let options = told("--dir d").unwrap();
        assert_eq!((options.socket_mode, options.fsync, options.init), (0o660, true, false));
        assert!(!options.trade_unconfirmed && !options.take_over_alone && options.silence_ms == 0);
        assert!(options.metrics.is_none() && options.tls.listen.is_none() && options.reader_socket.is_none());
        assert_eq!((options.attic_keep, options.events_keep), (0, 0), "nothing is dropped");
    }

    #[test]
    fn each_option_sets_its_own_and_numbers_stay_within_their_bounds() {
        let all = "--dir d --socket o --transfers-socket t --admin-socket a --reader-socket r --standby-socket s \
                   --socket-mode 600 --segment-mib 0 --events-mib 99999999 --threads 0 --snapshot-every 7 \
                   --attic-keep 3 --events-keep 4 --take-over auto --silence-ms 1000 --metrics m --no-fsync --init";
        let options = told(all).unwrap();
        let paths = [&options.folder, &options.socket, &options.transfers_socket, &options.admin_socket];
        assert_eq!(paths.map(|path| path.to_str().unwrap()), ["d", "o", "t", "a"]);
        assert_eq!((options.reader_socket, options.standby_socket), (Some("r".into()), Some("s".into())));
        assert_eq!((options.socket_mode, options.segment_bytes), (0o600, 1 << 20));
        assert_eq!((options.events_bytes, options.threads), (65_536 << 20, 1));
        assert_eq!((options.snapshot_every, options.attic_keep, options.events_keep), (7, 3, 4));
        assert!(options.take_over_alone && options.silence_ms == 1_000 && options.init && !options.fsync);
        assert_eq!(options.metrics.as_deref(), Some("m"));
    }

    #[test]
    fn each_name_of_a_certificate_is_its_own_identity() {
        let names =
            "--dir d --tls-orders-name o --tls-transfers-name t --tls-admin-name a --tls-reader-name r";
        let expected = [
            ("o".into(), Identity::Orders),
            ("t".into(), Identity::Transfers),
            ("a".into(), Identity::Admin),
            ("r".into(), Identity::Reader),
        ];
        assert_eq!(told(names).unwrap().tls.names, expected);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_before_anything_begins() {
        for (words, said) in [
            ("", "--dir is missing"),
            ("--dir", "--dir needs a value"),
            ("--dir d --no-such", "unknown option --no-such"),
            ("--dir d --threads two", "--threads needs a number, not two"),
            ("--dir d --socket-mode 668", "668 is no file mode"),
            ("--dir d --take-over maybe", "--take-over is operator or auto, not maybe"),
            ("--dir d --silence-ms 999", "--silence-ms is at least 1000: a slow disk is not a dead leader"),
        ] {
            assert_eq!(refused(words), said);
        }
    }
}
