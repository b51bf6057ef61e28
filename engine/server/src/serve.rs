//! Sockets and services.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_archive::Options as ArchiveOptions;
use countersign_journal::{Error as JournalError, Options as JournalOptions, Seam};
use countersign_wire::v1::admin_server::AdminServer;
use countersign_wire::v1::event_feed_server::EventFeedServer;
use countersign_wire::v1::market_data_server::MarketDataServer;
use countersign_wire::v1::order_entry_server::OrderEntryServer;
use countersign_wire::v1::transfers_server::TransfersServer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;

use crate::admin::Admin;
use crate::consumers::Consumers;
use crate::engine::Engine;
use crate::feed::Feed;
use crate::identity::{Denials, GateLayer, Identity, Known, Peer};
use crate::lease::Lease;
use crate::lines::Lines;
use crate::market_data::MarketData;
use crate::options::Options;
use crate::orders::Orders;
use crate::places::Places;
use crate::routes::Routes;
use crate::settled::Keep;
use crate::snapshot_thread::Snapshots;
use crate::socket::Socket;
use crate::standby::{Following, Order, Standby, leaderless, took_over};
use crate::start::{Running, start};
use crate::tls;
use crate::transfers::Transfers;
use crate::verifying::Verifying;

/// The largest batch of orders has less than 900 KiB. Whoever sends one slowly makes us keep what has come of it.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Threads that read old events for their subscribers.
const READERS: usize = 1;
/// Calls under way on one connection.
const STREAMS_MAX: u32 = 256;

/// Serves until it is told to stop; then everything that was taken is made durable first.
pub fn run(options: &Options) -> Result<(), String> {
    for (name, path) in [
        ("--socket", &options.socket),
        ("--transfers-socket", &options.transfers_socket),
        ("--admin-socket", &options.admin_socket),
    ] {
        if path.as_os_str().is_empty() {
            return Err(format!("{name} is missing"));
        }
    }
    let journal =
        JournalOptions { segment_bytes: options.segment_bytes, fsync: options.fsync, seam: Seam::default() };
    let archive = ArchiveOptions { file_bytes: options.events_bytes, ..ArchiveOptions::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads)
        .enable_all()
        .build()
        .map_err(|cause| format!("cannot start the runtime: {cause}"))?;
    let readers = tokio::runtime::Builder::new_multi_thread()
        .thread_name("readers")
        .worker_threads(READERS)
        .enable_all()
        .build()
        .map_err(|cause| format!("cannot start the readers: {cause}"))?;
    let (running, told) = loop {
        crate::logic::check(&options.folder)?;
        let (warm, told) = match &options.standby_socket {
            Some(socket) => {
                let following = Following::start(&options.folder, &archive)?;
                let Some(order) = runtime.block_on(follow(options, socket, &following))? else {
                    return Ok(());
                };
                (Some(following.finish()?), order.reply)
            }
            None => (None, None),
        };
        match start(&options.folder, &journal, &archive, options.init, options.trade_unconfirmed, warm) {
            Ok(running) => break (running, told),
            // Another standby was quicker. Then there is somebody to follow again.
            Err(JournalError::Locked(_)) if options.take_over_alone => {}
            Err(error) => return Err(error.to_string()),
        }
    };
    let Running { engine, scan, from, threads } = running;
    eprintln!("engine: began from {from}");
    if scan.torn_bytes > 0 {
        eprintln!("engine: cut a torn tail of {} bytes, none of it acknowledged", scan.torn_bytes);
    }
    if !options.fsync {
        eprintln!("engine: --no-fsync: acknowledgements are not durable, for benchmarks only");
    }
    let keep = Keep { segments: options.attic_keep, event_files: options.events_keep };
    let snapshots = Snapshots::start(&options.folder, engine.clone(), options.snapshot_every, keep);
    if let Some(reply) = told {
        let epoch = engine.shared.live.lock().expect("nobody panics while holding it").epoch;
        reply.send(took_over(engine.shared.durable.get().0, epoch)).ok();
    }
    let served = runtime.block_on(serve(options, &engine, &snapshots, readers.handle(), scan.records));
    // While the journal is still ours, nobody else can have bound these names.
    for path in [&options.socket, &options.transfers_socket, &options.admin_socket]
        .into_iter()
        .chain(&options.reader_socket)
    {
        fs::remove_file(path).ok();
    }
    engine.stop();
    // A reader may hang on the disk.
    readers.shutdown_background();
    Running::join(threads);
    served
}

/// Follows the leader until this process is told to take over, sees that it must, or is told to end.
async fn follow(options: &Options, socket: &Path, following: &Following) -> Result<Option<Order>, String> {
    let (orders, mut ordered) = mpsc::channel(1);
    let standby = Standby { folder: options.folder.clone(), venue: following.venue(), orders };
    let listener = listen(socket, options.socket_mode)?;
    let denials = Arc::<Denials>::default();
    let incoming = known(listener, Identity::Admin, Arc::clone(&denials));
    let gate = GateLayer(denials);
    tokio::spawn(builder().layer(gate).serve_with_incoming(AdminServer::new(standby), incoming));
    eprintln!("engine: standby, following");
    let failed = |cause| format!("cannot listen for signals: {cause}");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let alone = async {
        match options.take_over_alone {
            true => leaderless(&options.folder, Duration::from_millis(options.silence_ms)).await,
            false => std::future::pending().await,
        }
    };
    tokio::select! {
        order = ordered.recv() => Ok(order),
        () = alone => Ok(Some(Order { reply: None })),
        // Then finishing tells why, before anybody relies on this process.
        () = following.broken() => Ok(Some(Order { reply: None })),
        _ = terminate.recv() => Ok(None),
        _ = interrupt.recv() => Ok(None),
    }
}

async fn serve(
    options: &Options,
    engine: &Engine,
    snapshots: &Snapshots,
    readers: &Handle,
    replayed: u64,
) -> Result<(), String> {
    let consumers = Consumers::default();
    let denials = Arc::new(Denials::default());
    let routes = routes(options, engine, &consumers, snapshots, readers);
    if let Some(address) = &options.metrics {
        crate::metrics::serve(address, engine.clone(), consumers.clone(), Arc::clone(&denials)).await?;
    }
    let (stop, stopped) = watch::channel(false);
    let mut tasks = tokio::task::JoinSet::new();
    let doors = [
        (&options.admin_socket, Identity::Admin),
        (&options.transfers_socket, Identity::Transfers),
        // Last, so that whoever reaches it finds the others too.
        (&options.socket, Identity::Orders),
    ];
    let reader = options.reader_socket.iter().map(|path| (path, Identity::Reader));
    for (path, identity) in reader.chain(doors) {
        let incoming = known(listen(path, options.socket_mode)?, identity, Arc::clone(&denials));
        tasks.spawn(answer(incoming, routes.clone(), Arc::clone(&denials), stopped.clone()));
    }
    if let Some(address) = &options.tls.listen {
        let failed = |cause: std::io::Error| format!("cannot listen on {address}: {cause}");
        let door = tls::Door::open(&options.tls)?;
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        eprintln!("engine: TLS on {}", listener.local_addr().map_err(failed)?);
        let incoming = tls::accept(listener, door, Arc::clone(&denials));
        tasks.spawn(answer(incoming, routes, denials, stopped.clone()));
    }
    if !options.trade_unconfirmed {
        eprintln!("engine: orders wait for Admin.Confirm");
    }
    eprintln!("engine: ready, {replayed} commands replayed");

    let failed = |cause| format!("cannot listen for signals: {cause}");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let served = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        () = engine.shared.released.notified() => Ok(()),
        ended = tasks.join_next() => match ended {
            Some(Ok(Err(cause))) => Err(cause),
            _ => Ok(()),
        },
    };
    stop.send(true).ok();
    // Streams never end by themselves; those that are still open are cut.
    tokio::time::timeout(Duration::from_millis(200), async { while tasks.join_next().await.is_some() {} })
        .await
        .ok();
    served
}

/// All services; who may call which is the gate's business.
fn routes(
    options: &Options,
    engine: &Engine,
    consumers: &Consumers,
    snapshots: &Snapshots,
    readers: &Handle,
) -> Routes {
    let orders = Orders {
        engine: engine.clone(),
        consumers: consumers.clone(),
        lines: Lines::default(),
        places: Places::for_streams(),
    };
    let places = Places::for_streams();
    let feed = Feed::new(engine.clone(), consumers.clone(), readers.clone(), places.clone());
    let admin = Admin {
        engine: engine.clone(),
        consumers: consumers.clone(),
        snapshots: snapshots.clone(),
        verifying: Verifying::new(&options.folder),
    };
    let transfers = Transfers { engine: engine.clone() };
    let books = MarketData::new(engine.clone(), readers.clone(), places);
    Routes {
        orders: OrderEntryServer::new(orders).max_decoding_message_size(MESSAGE_BYTES_MAX),
        books: MarketDataServer::new(books).max_decoding_message_size(MESSAGE_BYTES_MAX),
        feed: EventFeedServer::new(feed).max_decoding_message_size(MESSAGE_BYTES_MAX),
        transfers: TransfersServer::new(transfers).max_decoding_message_size(MESSAGE_BYTES_MAX),
        admin: AdminServer::new(admin).max_decoding_message_size(MESSAGE_BYTES_MAX),
    }
}

fn builder() -> Server {
    Server::builder()
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(8 << 20)
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .max_frame_size(1 << 20)
        .max_concurrent_streams(Some(STREAMS_MAX))
}

/// Whoever can open the socket is that identity, so its mode is set before anybody can connect.
fn listen(path: &Path, mode: u32) -> Result<UnixListener, String> {
    // The journal's lock is held: a socket that lies here belonged to a process that is gone.
    fs::remove_file(path).ok();
    let fresh = path.with_extension("binding");
    fs::remove_file(&fresh).ok();
    let failed = |cause| format!("cannot listen on {}: {cause}", path.display());
    let listener = UnixListener::bind(&fresh).map_err(failed)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(mode)).map_err(failed)?;
    fs::rename(&fresh, path).map_err(failed)?;
    Ok(listener)
}

/// Connections to a socket, with the identity that it stands for and the user at the other end. Whoever comes when all
/// places are taken is turned away.
fn known(
    listener: UnixListener,
    identity: Identity,
    denials: Arc<Denials>,
) -> impl Stream<Item = std::io::Result<Known<Socket>>> + Send {
    let places = Places::for_connections();
    let accepted = UnixListenerStream::new(listener).then(|stream| async {
        if stream.is_err() {
            // Out of descriptors, most likely: that passes.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        stream
    });
    accepted.filter_map(move |stream| {
        let stream = match stream {
            Ok(stream) => stream,
            Err(cause) => return Some(Err(cause)),
        };
        let name = match stream.peer_cred() {
            Ok(user) => format!("user {}", user.uid()),
            Err(_) => "a user unknown".into(),
        };
        let Some(place) = places.take() else {
            let full = format_args!("{} connections are open, none free for {name}", places.limit);
            denials.turn_away(identity.name(), full);
            return None;
        };
        let peer = Peer { identity: Some(identity), name: name.into() };
        // One that cannot be listened to has a place for nothing, and is closed.
        let stream = Socket::new(stream).ok()?;
        Some(Ok(Known { stream, peer, lease: Lease::Endless, _places: (place, None) }))
    })
}

async fn answer<S>(
    incoming: impl Stream<Item = std::io::Result<Known<S>>> + Send,
    routes: Routes,
    denials: Arc<Denials>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stop = async move {
        stopped.wait_for(|stopped| *stopped).await.ok();
    };
    builder()
        .layer(GateLayer(denials))
        .serve_with_incoming_shutdown(routes, incoming, stop)
        .await
        .map_err(|cause| format!("a server ended: {cause}"))
}
