//! Starts, kills and talks to the real program.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use countersign_wire::v1;
use countersign_wire::v1::admin_client::AdminClient;
use countersign_wire::v1::transfers_client::TransfersClient;
use countersign_wire::v1::{
    AssetSpec, InstrumentKind, InstrumentSpec, InstrumentState, NewOrder, OrderKind, PutAssetRequest,
    PutInstrumentRequest, ResultCode, SetInstrumentStateRequest, Side, TimeInForce, Transfer, TransferBatch,
    command,
};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

pub const TOM: u64 = 11;
pub const TIA: u64 = 12;
const FUNDS: u64 = 1_000_000_000_000;

pub struct Process {
    folder: Rc<TempDir>,
    child: Option<Child>,
    /// What it printed until it was ready.
    pub said: Vec<String>,
    /// And since.
    later: Arc<Mutex<Vec<String>>>,
    /// It takes no orders before it is confirmed, as outside of tests.
    pub waits: bool,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Process {
    fn of(folder: Rc<TempDir>) -> Process {
        Process { folder, child: None, said: Vec::new(), later: Arc::default(), waits: false }
    }

    /// Waits until it has said this, after it was ready; gives all that it has said since.
    pub async fn says(&self, word: &str) -> Vec<String> {
        for _ in 0..12_000 {
            let later = self.later.lock().unwrap().clone();
            if later.iter().any(|line| line.contains(word)) {
                return later;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it never said {word}: {:?}", self.later.lock().unwrap());
    }

    pub fn fresh() -> Process {
        Process::of(Rc::new(TempDir::new().unwrap()))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn sockets(&self) -> Vec<PathBuf> {
        ["orders.sock", "transfers.sock", "admin.sock"].map(|name| self.path(name)).to_vec()
    }

    /// A second process for the same journal and the same sockets, following until it is told to lead.
    pub async fn standby(&self, more: &[&str]) -> Process {
        let mut second = Process::of(Rc::clone(&self.folder));
        second.waits = self.waits;
        let socket = self.path("standby.sock");
        second.start(&[&["--standby-socket", socket.to_str().unwrap()], more].concat()).await;
        second
    }

    /// The same sockets, for a client that does not care who listens there.
    pub fn standby_handle(&self) -> Process {
        Process::of(Rc::clone(&self.folder))
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) -> bool {
        let number = self.child.as_ref().unwrap().id().to_string();
        Command::new("kill").args(["-s", name, &number]).status().unwrap().success()
    }

    /// Memory that it holds, in bytes.
    pub fn resident(&self) -> u64 {
        let about = std::fs::read_to_string(format!("/proc/{}/statm", self.child.as_ref().unwrap().id()));
        let pages: u64 = about.unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4_096
    }

    /// Waits for the end; gives the exit code, `None` after a signal.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.take().unwrap().wait().unwrap().code()
    }

    /// Starts it where no file may grow beyond so many kilobytes: a disk that is full for this process.
    pub async fn start_cramped(&mut self, kilobytes: u32) {
        self.start_limited(&format!("trap '' XFSZ; ulimit -f {}", kilobytes * 2), &[]);
    }

    /// Starts it where no more files may be open at once.
    pub async fn start_with_descriptors(&mut self, most: u32, more: &[&str]) {
        self.start_limited(&format!("ulimit -n {most}"), more);
    }

    fn start_limited(&mut self, limits: &str, more: &[&str]) {
        let plain = self.command("", more);
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("{limits}; exec \"$0\" \"$@\"")]);
        limited.arg(plain.get_program()).args(plain.get_args()).stderr(Stdio::piped());
        self.wait_until_ready(limited);
    }

    /// What `verify` says of the journal.
    pub fn verified(&self) -> String {
        let mut verify = Command::new(program());
        let told = verify.arg("verify").arg("--dir").arg(self.path("journal")).output().unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap()
    }

    /// What the program answers whoever asks on the command line, or why nothing was done.
    pub fn ask(&self, socket: &str, what: &str) -> Result<String, String> {
        let told = Command::new(program()).arg("ask").arg(self.path(socket)).arg(what).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if told.status.success() { Ok(text(told.stdout)) } else { Err(text(told.stderr)) }
    }

    /// Waits until the process has ended by itself.
    pub fn ended(&mut self) -> bool {
        self.child.take().is_none_or(|mut child| child.wait().unwrap().success())
    }

    fn command(&self, prefix: &str, more: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("serve").arg("--dir").arg(self.path("journal")).args(["--segment-mib", "1"]);
        for (option, name) in
            [("--socket", "orders"), ("--transfers-socket", "transfers"), ("--admin-socket", "admin")]
        {
            command.arg(option).arg(self.path(&format!("{prefix}{name}.sock")));
        }
        // A former program never waits, and does not know the option.
        if !self.waits && std::env::var_os(FORMER).is_none() {
            command.arg("--trade-unconfirmed");
        }
        command.args(more).stderr(Stdio::piped());
        command
    }

    pub async fn start(&mut self, more: &[&str]) {
        self.wait_until_ready(self.command("", more));
    }

    fn wait_until_ready(&mut self, mut command: Command) {
        self.said.clear();
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        loop {
            let line = lines.next().expect("the engine becomes ready").unwrap();
            self.said.push(line.clone());
            if line.contains("ready") || line.contains("standby") {
                break;
            }
        }
        // What it still says must not block it.
        self.later = Arc::default();
        let later = Arc::clone(&self.later);
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| later.lock().unwrap().push(line));
        });
        self.child = Some(child);
    }

    /// Starts one that is expected to refuse; gives what it said.
    pub fn try_start(&self, more: &[&str]) -> String {
        let mut child = self.command("second-", more).spawn().unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(!child.wait().unwrap().success());
        said
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Whoever takes over opens the sockets a moment after the one before has closed them.
    pub async fn connect(&self, name: &str) -> Channel {
        let address = format!("unix://{}", self.path(name).display());
        for _ in 0..1_000 {
            if let Ok(channel) = Endpoint::try_from(address.clone()).unwrap().connect().await {
                return channel;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody listens at {address}")
    }

    pub async fn try_orders(&self) -> Option<Channel> {
        let address = format!("unix://{}", self.path("orders.sock").display());
        Endpoint::try_from(address).unwrap().connect().await.ok()
    }

    pub async fn orders(&self) -> Channel {
        self.connect("orders.sock").await
    }

    pub async fn transfers(&self) -> Channel {
        self.connect("transfers.sock").await
    }

    pub async fn admin(&self) -> Channel {
        self.connect("admin.sock").await
    }

    /// Starts a new venue with BTC-USDT open and two funded traders.
    pub async fn list_and_fund(&mut self) {
        self.start(&["--init"]).await;
        let mut admin = admin_client(self.admin().await);
        for (asset_id, symbol, decimals) in [(1, "BTC", 8), (2, "USDT", 6)] {
            let asset = Some(AssetSpec { asset_id, symbol: symbol.into(), decimals });
            admin.put_asset(PutAssetRequest { asset, reference: vec![] }).await.unwrap();
        }
        let instrument = Some(InstrumentSpec {
            instrument_id: 1,
            kind: InstrumentKind::Spot as i32,
            symbol: "BTC-USDT".into(),
            base_asset_id: 1,
            quote_asset_id: 2,
            base_units_per_lot: 1_000,
            quote_units_per_ticklot: 1,
            min_price_ticks: 1,
            max_price_ticks: 100_000_000,
            min_qty_lots: 1,
            max_qty_lots: 1_000_000,
            maker_fee_ppm: 800,
            taker_fee_ppm: 1_000,
            price_band_ppm: 0,
            reference_price_ticks: 0,
        });
        admin.put_instrument(PutInstrumentRequest { instrument, reference: vec![] }).await.unwrap();
        let open = SetInstrumentStateRequest {
            instrument_id: 1,
            state: InstrumentState::Open as i32,
            reference: b"opened".to_vec(),
            ..SetInstrumentStateRequest::default()
        };
        let opened = admin.set_instrument_state(open).await.unwrap().into_inner();
        assert_eq!(opened.code(), ResultCode::Ok);
        let mut transfers = TransfersClient::new(self.transfers().await);
        for account in [TOM, TIA] {
            for asset in [1, 2] {
                let done = transfers.submit(transfer(account, asset, FUNDS)).await.unwrap().into_inner();
                assert_eq!(done.results[0].code(), ResultCode::Ok);
            }
        }
    }
}

/// Another program that is to leave something behind.
const FORMER: &str = "FORMER_PROGRAM";

/// This build's, unless another is to leave something behind for it.
fn program() -> String {
    std::env::var(FORMER).unwrap_or_else(|_| env!("CARGO_BIN_EXE_countersign-engine").into())
}

/// What all accounts together hold of each asset after [`Process::list_and_fund`].
pub fn funded() -> BTreeMap<u32, u64> {
    BTreeMap::from([(1, 2 * FUNDS), (2, 2 * FUNDS)])
}

pub fn admin_client(channel: Channel) -> AdminClient<Channel> {
    AdminClient::new(channel)
}

pub fn transfer(account_id: u64, asset_id: u32, units_lo: u64) -> TransferBatch {
    let transfer_id = Ids.next();
    let transfer = Transfer { transfer_id, account_id, asset_id, into_venue: true, units_hi: 0, units_lo };
    TransferBatch { transfers: vec![transfer] }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// UUIDv7s.
pub struct Ids;

impl Ids {
    pub fn next(&mut self) -> Vec<u8> {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut id = now_ms().to_be_bytes()[2..].to_vec();
        id.extend([0x70, 0]);
        id.extend(count.to_be_bytes());
        id
    }
}

pub fn limit(
    command_id: Vec<u8>,
    order_id: u64,
    account_id: u64,
    side: Side,
    price: i64,
    qty: u64,
) -> v1::Command {
    v1::Command {
        command_id: command_id.into(),
        session_seq: 0,
        expires_at_ms: now_ms() + 30_000,
        body: Some(command::Body::NewOrder(NewOrder {
            order_id,
            instrument_id: 1,
            side: side as i32,
            kind: OrderKind::Limit as i32,
            tif: TimeInForce::Gtc as i32,
            price_ticks: price,
            qty_lots: qty,
            account_id,
            ..NewOrder::default()
        })),
    }
}
