//! TCP with mutual TLS: the name in the client's certificate is its identity.
//!
//! A client without a certificate of our own authority does not get through the handshake. The files are looked at
//! with each new connection and read again when they have changed, so that certificates are renewed without a restart.
//! Sessions are never resumed: each connection shows a certificate that is valid at that time.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;

use crate::identity::{Identity, Known, Peer};

/// Connections that may be shaking hands at once; further ones wait in the kernel's queue.
const HANDSHAKES_MAX: usize = 64;
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);

/// Where to listen, what to show, whom to trust, and which name means which identity.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub listen: Option<String>,
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub client_ca: PathBuf,
    /// URIs in the subject alternative name, as `spiffe://exchange/engine/orders`.
    pub names: Vec<(String, Identity)>,
}

/// What tells that a file is another one than before.
type Stamp = [(u64, i64, i64, u64); 3];

struct Loaded {
    stamp: Stamp,
    config: Arc<ServerConfig>,
}

pub struct Door {
    options: Options,
    loaded: Mutex<Loaded>,
}

impl Door {
    pub fn open(options: &Options) -> Result<Door, String> {
        let loaded = Loaded { stamp: stamp(options)?, config: Arc::new(load(options)?) };
        Ok(Door { options: options.clone(), loaded: Mutex::new(loaded) })
    }

    /// The newest certificates that could be read.
    fn config(&self) -> Arc<ServerConfig> {
        let mut loaded = self.loaded.lock().expect("nobody panics while holding it");
        match stamp(&self.options) {
            Ok(now) if now != loaded.stamp => match load(&self.options) {
                Ok(config) => {
                    eprintln!("engine: the TLS certificates were read again");
                    *loaded = Loaded { stamp: now, config: Arc::new(config) };
                }
                // Perhaps half of the files are new by now; the next connection looks again.
                Err(cause) => eprintln!("engine: the TLS certificates stay as they are: {cause}"),
            },
            Ok(_) => {}
            Err(cause) => eprintln!("engine: the TLS certificates stay as they are: {cause}"),
        }
        Arc::clone(&loaded.config)
    }

    /// A certificate that has the names of two identities has none.
    fn identity(&self, certificate: &CertificateDer<'_>) -> (Option<Identity>, String) {
        let Ok(parsed) = webpki::EndEntityCert::try_from(certificate) else {
            return (None, "an unreadable certificate".into());
        };
        let names: Vec<&str> = parsed.valid_uri_names().collect();
        let mut found =
            self.options.names.iter().filter(|(name, _)| names.contains(&name.as_str())).map(|(_, who)| *who);
        let first = found.next();
        let identity = first.filter(|first| found.all(|other| other == *first));
        (identity, names.join(" "))
    }
}

fn stamp(options: &Options) -> Result<Stamp, String> {
    let of = |path: &Path| {
        let about = fs::metadata(path).map_err(|cause| format!("{}: {cause}", path.display()))?;
        Ok::<_, String>((about.ino(), about.mtime(), about.mtime_nsec(), about.len()))
    };
    Ok([of(&options.certificate)?, of(&options.key)?, of(&options.client_ca)?])
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |cause: rustls::pki_types::pem::Error| format!("{}: {cause}", path.display());
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(failed)?.collect();
    let all = all.map_err(failed)?;
    if all.is_empty() { Err(format!("{} holds no certificate", path.display())) } else { Ok(all) }
}

fn load(options: &Options) -> Result<ServerConfig, String> {
    let failed = |cause: &dyn std::fmt::Display| cause.to_string();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&options.client_ca)? {
        roots.add(certificate).map_err(|cause| failed(&cause))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|cause| failed(&cause))?;
    let key = PrivateKeyDer::from_pem_file(&options.key)
        .map_err(|cause| format!("{}: {cause}", options.key.display()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|cause| failed(&cause))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&options.certificate)?, key)
        .map_err(|cause| failed(&cause))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

type Accepted = io::Result<Known<TlsStream<TcpStream>>>;

/// Connections whose other end has shown who it is.
pub fn accept(listener: TcpListener, door: Door) -> ReceiverStream<Accepted> {
    let (sender, receiver) = mpsc::channel(HANDSHAKES_MAX);
    let door = Arc::new(door);
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    tokio::spawn(async move {
        loop {
            let free = Arc::clone(&handshakes).acquire_owned().await.expect("it is never closed");
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = sender.closed() => return,
            };
            let Ok((stream, address)) = accepted else {
                // Out of descriptors, most likely: that passes.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let (door, sender) = (Arc::clone(&door), sender.clone());
            tokio::spawn(async move {
                match shake(stream, address, &door).await {
                    Ok(known) => drop(sender.send(Ok(known)).await),
                    Err(cause) => eprintln!("engine: TLS from {address} refused: {cause}"),
                }
                drop(free);
            });
        }
    });
    ReceiverStream::new(receiver)
}

async fn shake(
    stream: TcpStream,
    address: SocketAddr,
    door: &Door,
) -> io::Result<Known<TlsStream<TcpStream>>> {
    stream.set_nodelay(true)?;
    let acceptor = TlsAcceptor::from(door.config());
    let stream = tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await??;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let certificate = certificate.ok_or_else(|| io::Error::other("no certificate"))?;
    let (identity, names) = door.identity(certificate);
    let name = format!("{names} from {address}").into();
    Ok(Known { stream, peer: Peer { identity, name } })
}
