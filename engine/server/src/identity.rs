//! Who may call what: four identities, told by a socket or by a certificate, and the gate that holds them apart.
//!
//! What enters orders can move no balance and open no market, whichever way it came in: every listener carries all
//! services behind this one gate, and the gate knows one table.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::transport::server::Connected;
use tower_layer::Layer;
use tower_service::Service;

use crate::hurry::Hurried;
use crate::lease::Lease;
use crate::places::Place;

const PACKAGE: &str = "/exchange.engine.v1.";
/// The one call whose request is a stream.
const SESSION: &str = "/exchange.engine.v1.OrderEntry/Session";
/// Refusals are all counted; so many of them are also written down.
const LINE_EVERY: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    Orders,
    Transfers,
    Admin,
    /// Reads what happened and what everybody holds, and changes nothing.
    Reader,
}

impl Identity {
    pub fn name(self) -> &'static str {
        match self {
            Identity::Orders => "orders",
            Identity::Transfers => "transfers",
            Identity::Admin => "admin",
            Identity::Reader => "reader",
        }
    }

    fn services(self) -> &'static [&'static str] {
        match self {
            Identity::Orders => &["OrderEntry", "MarketData", "EventFeed"],
            Identity::Transfers => &["Transfers", "EventFeed"],
            Identity::Admin => &["Admin", "MarketData", "EventFeed"],
            Identity::Reader => &["EventFeed"],
        }
    }

    /// Whether `path`, as in `/exchange.engine.v1.Admin/Status`, is one of this identity's.
    pub fn may_call(self, path: &str) -> bool {
        let service = path.strip_prefix(PACKAGE).and_then(|rest| rest.split_once('/'));
        service.is_some_and(|(service, _)| self.services().contains(&service))
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// `None`: known to somebody we trust, but by no name that has a right here.
    pub identity: Option<Identity>,
    /// For the log.
    pub name: Arc<str>,
}

/// A connection whose other end is known, for as long as it is.
pub struct Known<S> {
    pub stream: S,
    pub peer: Peer,
    pub lease: Lease,
    /// Free again once the connection has ended: of its door's, and of its identity's where others share that.
    pub _places: (Place, Option<Place>),
}

impl<S> Connected for Known<S> {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Known<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lease.poll_over(cx) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "its certificate has ended")));
        }
        Pin::new(&mut this.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Known<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Calls that were refused because of who made them, by identity and service, and connections that were turned away.
#[derive(Default)]
pub struct Denials {
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    by_call: BTreeMap<(&'static str, &'static str), u64>,
    by_door: BTreeMap<&'static str, u64>,
    told: Option<Instant>,
    untold: u64,
}

impl Counted {
    /// How many were left out since the last line, if it is time for one.
    fn line(&mut self) -> Option<u64> {
        if self.told.is_some_and(|told| told.elapsed() < LINE_EVERY) {
            self.untold += 1;
            return None;
        }
        self.told = Some(Instant::now());
        Some(std::mem::take(&mut self.untold))
    }
}

impl Denials {
    pub fn told(&self) -> Vec<((&'static str, &'static str), u64)> {
        let counted = self.counted.lock().expect("nobody panics while holding it");
        counted.by_call.iter().map(|(call, count)| (*call, *count)).collect()
    }

    /// Counts one and writes it down, unless lines come too fast to be read.
    pub fn add(&self, peer: &Peer, path: &str) {
        let known = ["OrderEntry", "Transfers", "Admin", "MarketData", "EventFeed"];
        let service = known.into_iter().find(|service| {
            path.strip_prefix(PACKAGE).is_some_and(|rest| rest.split('/').next() == Some(service))
        });
        let identity = peer.identity.map_or("nobody", Identity::name);
        let mut counted = self.counted.lock().expect("nobody panics while holding it");
        *counted.by_call.entry((identity, service.unwrap_or("unknown"))).or_default() += 1;
        let Some(untold) = counted.line() else { return };
        drop(counted);
        let path: String = path.chars().filter(char::is_ascii_graphic).take(120).collect();
        eprintln!(
            "engine: refused {path} to {identity} ({}): PERMISSION_DENIED; {untold} more since the last line",
            peer.name
        );
    }

    /// Connections that were turned away, by the door at which they were.
    pub fn turned_away(&self) -> Vec<(&'static str, u64)> {
        let counted = self.counted.lock().expect("nobody panics while holding it");
        counted.by_door.iter().map(|(door, count)| (*door, *count)).collect()
    }

    /// Counts a connection that is turned away, and writes down why, unless lines come too fast to be read.
    pub fn turn_away(&self, door: &'static str, why: std::fmt::Arguments<'_>) {
        let mut counted = self.counted.lock().expect("nobody panics while holding it");
        *counted.by_door.entry(door).or_default() += 1;
        let Some(untold) = counted.line() else { return };
        drop(counted);
        eprintln!("engine: turned away at {door}: {why}; {untold} more since the last line");
    }
}

/// Puts the gate in front of all services of a listener.
#[derive(Clone)]
pub struct GateLayer(pub Arc<Denials>);

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, denials: Arc::clone(&self.0) }
    }
}

#[derive(Clone)]
pub struct Gate<S> {
    inner: S,
    denials: Arc<Denials>,
}

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let nobody = Peer { identity: None, name: "unknown".into() };
        let peer = request.extensions().get::<Peer>().unwrap_or(&nobody);
        if peer.identity.is_some_and(|identity| identity.may_call(path)) {
            // A session's stream has no end, and waits for no more than Hello itself.
            let request = if path == SESSION { request } else { request.map(Hurried::body) };
            return Box::pin(self.inner.call(request));
        }
        self.denials.add(peer, path);
        let identity = peer.identity.map_or("nobody", Identity::name);
        let refused = Status::permission_denied(format!("this is not for {identity}"));
        Box::pin(std::future::ready(Ok(refused.into_http())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_identity_has_its_services_and_no_others() {
        let services = ["OrderEntry", "Transfers", "Admin", "MarketData", "EventFeed"];
        let may = |identity: Identity| {
            services.map(|service| identity.may_call(&format!("/exchange.engine.v1.{service}/Any")))
        };
        assert_eq!(may(Identity::Orders), [true, false, false, true, true]);
        assert_eq!(may(Identity::Transfers), [false, true, false, false, true]);
        assert_eq!(may(Identity::Admin), [false, false, true, true, true]);
        for path in
            ["", "/", "/Admin/Status", "/exchange.engine.v1.Admin", "/exchange.engine.v2.Admin/Status"]
        {
            for identity in [Identity::Orders, Identity::Transfers, Identity::Admin] {
                assert!(!identity.may_call(path), "{path}");
            }
        }
    }

    #[test]
    fn a_refusal_is_counted_under_whose_it_was_and_what_it_asked_for() {
        let denials = Denials::default();
        let peer = |identity| Peer { identity, name: "user 7".into() };
        for path in ["/exchange.engine.v1.Admin/Status", "/exchange.engine.v1.Admin/Drain"] {
            denials.add(&peer(Some(Identity::Orders)), path);
        }
        for path in ["", "/exchange.engine.v1.AdminX/Status", "/Admin/Status"] {
            denials.add(&peer(None), path);
        }
        assert_eq!(denials.told(), [(("nobody", "unknown"), 3), (("orders", "Admin"), 2)]);
        denials.turn_away("tls", format_args!("it is full"));
        denials.turn_away("tls", format_args!("it is full"));
        assert_eq!(denials.turned_away(), [("tls", 2)]);
    }

    #[test]
    fn a_line_says_how_many_were_left_out_since_the_last_one() {
        let mut counted = Counted::default();
        assert_eq!(counted.line(), Some(0));
        // The last line is of this moment, however slow this test is.
        counted.told = Some(Instant::now() + Duration::from_secs(3_600));
        assert_eq!([counted.line(), counted.line()], [None, None]);
        for untold in [2, 0] {
            let long_ago = Instant::now().checked_sub(LINE_EVERY);
            counted.told = long_ago;
            assert_eq!(counted.line(), Some(untold));
            assert!(counted.told > long_ago, "the next one waits from now on");
        }
    }
}
