//! Who may call what, over sockets and over TLS.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use countersign_wire::v1::event_feed_client::EventFeedClient;
use countersign_wire::v1::market_data_client::MarketDataClient;
use countersign_wire::v1::order_entry_client::OrderEntryClient;
use countersign_wire::v1::transfers_client::TransfersClient;
use countersign_wire::v1::{BalancesRequest, CommandBatch, Empty, TradesRequest, TransferBatch};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::process::{self, Process};

const ORDERS: &str = "spiffe://exchange/engine/orders";
const TRANSFERS: &str = "spiffe://exchange/engine/transfers";
const ADMIN: &str = "spiffe://exchange/engine/admin";
const READER: &str = "spiffe://exchange/engine/reader";

/// Which of order entry, transfers, administration, market data and events this channel may call.
async fn may(channel: Channel) -> [bool; 5] {
    let allowed = |told: Result<(), tonic::Status>| match told {
        Ok(()) => true,
        Err(status) => {
            assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
            false
        }
    };
    let mut orders = OrderEntryClient::new(channel.clone());
    let mut transfers = TransfersClient::new(channel.clone());
    let mut admin = process::admin_client(channel.clone());
    let mut data = MarketDataClient::new(channel.clone());
    let mut feed = EventFeedClient::new(channel);
    [
        allowed(orders.submit_batch(CommandBatch::default()).await.map(drop)),
        allowed(transfers.submit(TransferBatch::default()).await.map(drop)),
        allowed(admin.status(Empty {}).await.map(drop)),
        allowed(data.list_instruments(Empty {}).await.map(drop)),
        allowed(feed.get_balances(BalancesRequest::default()).await.map(drop)),
    ]
}

const ORDERS_MAY: [bool; 5] = [true, false, false, true, true];
const TRANSFERS_MAY: [bool; 5] = [false, true, false, false, true];
const ADMIN_MAY: [bool; 5] = [false, false, true, true, true];
const READER_MAY: [bool; 5] = [false, false, false, false, true];

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// Certificate and key.
    fn issue(&self, names: &[&str], year_of_end: i32) -> (String, String) {
        self.issue_until(names, |params| params.not_after = rcgen::date_time_ymd(year_of_end, 1, 1))
    }

    fn issue_until(&self, names: &[&str], end: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let mut params = CertificateParams::new(vec!["engine.test".to_string()]).unwrap();
        params.subject_alt_names.extend(names.iter().map(|name| SanType::URI((*name).try_into().unwrap())));
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        end(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A new engine that serves TLS with certificates of `authority`; gives its port.
async fn serving(process: &mut Process, authority: &Authority, descriptors: Option<u32>) -> u16 {
    let (certificate, key) = authority.issue(&[], 2099);
    let path = |name: &str| -> PathBuf { process.path(name) };
    let files = [path("cert.pem"), path("key.pem"), path("ca.pem")];
    for (file, text) in files.iter().zip([&certificate, &key, &authority.pem]) {
        fs::write(file, text).unwrap();
    }
    let [certificate, key, ca] = files.map(|path| path.to_str().unwrap().to_string());
    let mut options = vec!["--init", "--tls-listen", "127.0.0.1:0", "--tls-cert", &certificate];
    options.extend(["--tls-key", &key, "--tls-client-ca", &ca, "--tls-orders-name", ORDERS]);
    options.extend(["--tls-transfers-name", TRANSFERS, "--tls-admin-name", ADMIN]);
    options.extend(["--tls-reader-name", READER]);
    match descriptors {
        Some(most) => process.start_with_descriptors(most, &options).await,
        None => process.start(&options).await,
    }
    let line = process.said.iter().find(|line| line.contains("TLS on")).unwrap();
    line.rsplit(':').next().unwrap().parse().unwrap()
}

async fn connect(port: u16, server: &Authority, client: Option<&(String, String)>) -> Option<Channel> {
    let mut tls =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&server.pem)).domain_name("engine.test");
    if let Some((certificate, key)) = client {
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    let endpoint = Endpoint::try_from(format!("https://127.0.0.1:{port}")).unwrap();
    endpoint.tls_config(tls).unwrap().connect().await.ok()
}

/// Whether a client with this certificate gets any answer at all.
async fn gets_in(port: u16, server: &Authority, client: Option<&(String, String)>) -> bool {
    let Some(channel) = connect(port, server, client).await else { return false };
    let told = process::admin_client(channel).status(Empty {}).await;
    told.is_ok() || told.is_err_and(|status| status.code() == Code::PermissionDenied)
}

#[tokio::test]
async fn gives_each_socket_its_own_services() {
    let mut process = Process::fresh();
    let reader = process.path("reader.sock");
    process.start(&["--init", "--reader-socket", reader.to_str().unwrap()]).await;
    assert_eq!(may(process.orders().await).await, ORDERS_MAY);
    assert_eq!(may(process.transfers().await).await, TRANSFERS_MAY);
    assert_eq!(may(process.admin().await).await, ADMIN_MAY);
    assert_eq!(may(process.connect("reader.sock").await).await, READER_MAY);
    for path in process.sockets() {
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o660);
    }
}

/// What the door answers to a client that knows TLS 1.2 and nothing newer: the first record, as far as it is short.
fn answer_to_tls_1_2(port: u16) -> [u8; 7] {
    let extensions: Vec<u8> = [
        &[0, 10, 0, 6, 0, 4, 0, 0x1d, 0, 0x17][..], // groups: X25519, P-256
        &[0, 11, 0, 2, 1, 0][..],                   // points as they are
        &[0, 13, 0, 6, 0, 4, 4, 3, 8, 4][..],       // signatures: ECDSA and RSA-PSS with SHA-256
        &[0, 23, 0, 0][..],                         // the extended master secret
    ]
    .concat();
    let mut hello = vec![3, 3];
    hello.extend([9; 32]);
    hello.push(0);
    hello.extend([0, 4, 0xc0, 0x2b, 0xc0, 0x2f]); // ECDHE with AES-128-GCM, by ECDSA or RSA
    hello.extend([1, 0]);
    hello.extend((extensions.len() as u16).to_be_bytes());
    hello.extend(extensions);
    let mut record = vec![22, 3, 1];
    record.extend((hello.len() as u16 + 4).to_be_bytes());
    record.extend([1, 0]);
    record.extend((hello.len() as u16).to_be_bytes());
    record.extend(hello);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(&record).unwrap();
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn gives_each_certificate_the_services_of_its_name_and_none_without_one() {
    let mut process = Process::fresh();
    let ours = Authority::new();
    let port = serving(&mut process, &ours, None).await;
    // A fatal alert: the protocol's version.
    assert_eq!(answer_to_tls_1_2(port), [21, 3, 3, 0, 2, 2, 70]);
    for (names, allowed) in [
        (&[ORDERS][..], ORDERS_MAY),
        (&[TRANSFERS][..], TRANSFERS_MAY),
        (&[ADMIN][..], ADMIN_MAY),
        (&[READER][..], READER_MAY),
        (&["spiffe://exchange/engine/other"][..], [false; 5]),
        (&[][..], [false; 5]),
        // Two identities in one certificate are none.
        (&[ORDERS, ADMIN][..], [false; 5]),
    ] {
        let client = ours.issue(names, 2099);
        let channel = connect(port, &ours, Some(&client)).await.unwrap();
        assert_eq!(may(channel).await, allowed, "{names:?}");
    }
    assert!(!gets_in(port, &ours, None).await, "no certificate");
    assert!(!gets_in(port, &ours, Some(&ours.issue(&[ADMIN], 2020))).await, "expired");
    let theirs = Authority::new();
    assert!(!gets_in(port, &ours, Some(&theirs.issue(&[ADMIN], 2099))).await, "another authority");
}

#[tokio::test]
async fn reads_changed_certificates_without_a_restart() {
    let mut process = Process::fresh();
    let (old, new) = (Authority::new(), Authority::new());
    let port = serving(&mut process, &old, None).await;
    let client = new.issue(&[ADMIN], 2099);
    assert!(!gets_in(port, &old, Some(&client)).await);
    // Half of a change: the old ones stay in use.
    fs::write(process.path("key.pem"), "not a key").unwrap();
    assert!(gets_in(port, &old, Some(&old.issue(&[ADMIN], 2099))).await);
    let (certificate, key) = new.issue(&[], 2099);
    for (name, text) in [("cert.pem", &certificate), ("key.pem", &key), ("ca.pem", &new.pem)] {
        fs::write(process.path(name), text).unwrap();
    }
    assert!(gets_in(port, &new, Some(&client)).await);
    assert!(!gets_in(port, &new, Some(&old.issue(&[ADMIN], 2099))).await);
}

#[tokio::test]
async fn counts_what_it_refuses() {
    let mut process = Process::fresh();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    process.start(&["--init", "--metrics", &address]).await;
    assert_eq!(may(process.orders().await).await, ORDERS_MAY);
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    for line in [
        "countersign_engine_denied_calls_total{identity=\"orders\",service=\"Admin\"} 1",
        "countersign_engine_state{state=\"running\"} 1",
        "countersign_engine_up 1",
        "countersign_engine_queue_limit 131072",
        "countersign_engine_flush_microseconds_bucket{le=\"+Inf\"}",
        "countersign_engine_block_commands_count",
        "countersign_engine_order_stage_microseconds_bucket{stage=\"told\",le=\"+Inf\"}",
    ] {
        assert!(page.contains(line), "{line} is missing in {page}");
    }
}

#[tokio::test]
async fn lets_others_in_while_somebody_keeps_handshakes_waiting() {
    let mut process = Process::fresh();
    let ours = Authority::new();
    let port = serving(&mut process, &ours, None).await;
    let idle: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    process.says("handshakes waiting").await;
    assert!(gets_in(port, &ours, Some(&ours.issue(&[ADMIN], 2099))).await);
    drop(idle);
}

/// They all come through one door.
#[tokio::test]
async fn lets_administration_in_however_many_connections_order_entry_keeps() {
    let mut process = Process::fresh();
    let ours = Authority::new();
    let port = serving(&mut process, &ours, Some(128)).await;
    let client = ours.issue(&[ORDERS], 2099);
    let mut crowd = Vec::new();
    for _ in 0..40 {
        crowd.push(connect(port, &ours, Some(&client)).await);
    }
    process.says("turned away at tls").await;
    assert!(gets_in(port, &ours, Some(&ours.issue(&[ADMIN], 2099))).await);
    assert!(gets_in(port, &ours, Some(&ours.issue(&[TRANSFERS], 2099))).await);
    assert!(!gets_in(port, &ours, Some(&client)).await, "there is room for some only");
    drop(crowd);
    for _ in 0..4_000 {
        if gets_in(port, &ours, Some(&client)).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("a place that was left is never free again");
}

#[tokio::test]
async fn ends_a_connection_with_its_certificate() {
    let mut process = Process::fresh();
    let ours = Authority::new();
    let port = serving(&mut process, &ours, None).await;
    let lasting = connect(port, &ours, Some(&ours.issue(&[ADMIN], 2099))).await.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let end = rcgen::date_time_ymd(1970, 1, 1) + now + Duration::from_secs(2);
    let ending = ours.issue_until(&[ORDERS], |params| params.not_after = end);
    let mut data = MarketDataClient::new(connect(port, &ours, Some(&ending)).await.unwrap());
    let request = TradesRequest { instrument_id: 0, from_event_seq: 0 };
    let mut trades = data.subscribe_trades(request).await.unwrap().into_inner();
    // Nothing is traded: only its end can end this.
    let ended = tokio::time::timeout(Duration::from_secs(60), trades.message()).await;
    let ended = ended.expect("it outlives its certificate").unwrap_err();
    assert!(
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap() > now + Duration::from_secs(1),
        "{ended:?}"
    );
    assert!(
        data.list_instruments(Empty {}).await.is_err(),
        "it does not come back with the same certificate"
    );
    assert_eq!(may(lasting).await, ADMIN_MAY);
}
