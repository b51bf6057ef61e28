//! TCP with mutual TLS: the name in the client's certificate is its identity.
//!
//! A client without a certificate of our own authority does not get through the handshake. The files are looked at
//! with each new connection and read again when they have changed, so that certificates are renewed without a restart.
//! Sessions are never resumed: each connection shows a certificate that is valid at that time, and ends with it.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;

use crate::identity::{Denials, Identity, Known, Peer};
use crate::lease::{Lease, not_after};
use crate::places::{Place, Places, SHARES};

/// Connections that may be shaking hands at once; a further one takes the place of one that has not come to its end.
const HANDSHAKES_MAX: usize = 64;
const DOOR: &str = "tls";
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

/// Connections that each identity may keep, and whoever has none: they share one door, and who fills its part of it
/// keeps none of the others out.
struct Shares([Places; SHARES]);

impl Shares {
    fn of(places: &Places) -> Shares {
        Shares(std::array::from_fn(|_| places.share()))
    }

    fn take(&self, identity: Option<Identity>) -> io::Result<Place> {
        let share = &self.0[identity.map_or(SHARES - 1, |identity| identity as usize)];
        let name = identity.map_or("nobody", Identity::name);
        let full = || io::Error::other(format!("{} connections of {name} are open", share.limit));
        share.take().ok_or_else(full)
    }
}

type Accepted = io::Result<Known<TlsStream<TcpStream>>>;

/// Handshakes that are under way, in the order in which they began.
#[derive(Default)]
struct Handshakes {
    tasks: JoinSet<()>,
    under_way: VecDeque<(IpAddr, AbortHandle)>,
}

impl Handshakes {
    fn begin(&mut self, from: IpAddr, handshake: impl Future<Output = ()> + Send + 'static) {
        let handle = self.tasks.spawn(handshake);
        self.under_way.push_back((from, handle));
    }

    /// Makes room where there is none: whoever has the most of them loses the oldest. So nobody who keeps many
    /// connections idle keeps others out.
    fn make_room(&mut self) -> Option<IpAddr> {
        if self.under_way.len() < HANDSHAKES_MAX {
            return None;
        }
        let mut of_peer: HashMap<IpAddr, usize> = HashMap::new();
        for (from, _) in &self.under_way {
            *of_peer.entry(*from).or_default() += 1;
        }
        let most = of_peer.values().max().copied();
        let oldest = self.under_way.iter().position(|(from, _)| of_peer.get(from).copied() == most)?;
        let (from, handle) = self.under_way.remove(oldest)?;
        handle.abort();
        Some(from)
    }

    /// Returns when one has ended.
    async fn ended(&mut self) -> Option<()> {
        self.tasks.join_next().await?.ok();
        self.under_way.retain(|(_, handle)| !handle.is_finished());
        Some(())
    }
}

/// Connections whose other end has shown who it is.
pub fn accept(listener: TcpListener, door: Door, denials: Arc<Denials>) -> ReceiverStream<Accepted> {
    let (sender, receiver) = mpsc::channel(HANDSHAKES_MAX);
    let door = Arc::new(door);
    let places = Places::for_connections();
    tokio::spawn(async move {
        let mut handshakes = Handshakes::default();
        let shares = Arc::new(Shares::of(&places));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(()) = handshakes.ended() => continue,
                () = sender.closed() => return,
            };
            let Ok((stream, address)) = accepted else {
                // Out of descriptors, most likely: that passes.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            if let Some(from) = handshakes.make_room() {
                denials.turn_away(DOOR, format_args!("{from} keeps {HANDSHAKES_MAX} handshakes waiting"));
            }
            let Some(place) = places.take() else {
                denials.turn_away(
                    DOOR,
                    format_args!("{} connections are open, none free for {address}", places.limit),
                );
                continue;
            };
            let (door, sender, denials) = (Arc::clone(&door), sender.clone(), Arc::clone(&denials));
            let shares = Arc::clone(&shares);
            handshakes.begin(address.ip(), async move {
                match shake(stream, address, &door, &shares, place).await {
                    Ok(known) => drop(sender.send(Ok(known)).await),
                    Err(cause) => denials.turn_away(DOOR, format_args!("{address}: {cause}")),
                }
            });
        }
    });
    ReceiverStream::new(receiver)
}

async fn shake(
    stream: TcpStream,
    address: SocketAddr,
    door: &Door,
    shares: &Shares,
    place: Place,
) -> io::Result<Known<TlsStream<TcpStream>>> {
    stream.set_nodelay(true)?;
    let acceptor = TlsAcceptor::from(door.config());
    let stream = tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await??;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificate = chain.first().ok_or_else(|| io::Error::other("no certificate"))?;
    let (identity, names) = door.identity(certificate);
    let share = shares.take(identity)?;
    // What has ended already was sent along and not needed.
    let now = crate::clock::wall_ms() / 1_000;
    let ends = chain.iter().filter_map(|certificate| not_after(certificate)).filter(|end| *end >= now);
    let end = ends.min().ok_or_else(|| io::Error::other("a certificate without an end"))?;
    let name = format!("{names} from {address}").into();
    Ok(Known {
        stream,
        peer: Peer { identity, name },
        lease: Lease::until(end),
        _places: (place, Some(share)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_keeps_many_handshakes_waiting_loses_its_own_oldest() {
        let mut handshakes = Handshakes::default();
        let [many, few] = [1, 2].map(|last| IpAddr::from([127, 0, 0, last]));
        handshakes.begin(few, std::future::pending());
        for _ in 1..HANDSHAKES_MAX {
            assert_eq!(handshakes.make_room(), None);
            handshakes.begin(many, std::future::pending());
        }
        let oldest_of_many = handshakes.under_way[1].1.id();
        assert_eq!(handshakes.make_room(), Some(many));
        handshakes.ended().await.unwrap();
        assert_eq!(handshakes.under_way.len(), HANDSHAKES_MAX - 1);
        assert_eq!(handshakes.under_way[0].0, few);
        assert!(handshakes.under_way.iter().all(|(_, handle)| handle.id() != oldest_of_many));
        // Whose handshake has come to its end holds no place.
        handshakes.begin(few, async {});
        handshakes.ended().await.unwrap();
        assert_eq!(handshakes.make_room(), None);
    }
}
