//! Sockets and services.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign_journal::Options as JournalOptions;
use countersign_wire::v1::admin_server::AdminServer;
use countersign_wire::v1::event_feed_server::EventFeedServer;
use countersign_wire::v1::market_data_server::MarketDataServer;
use countersign_wire::v1::order_entry_server::OrderEntryServer;
use countersign_wire::v1::transfers_server::TransfersServer;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::transport::server::Router;

use crate::Options;
use crate::admin::Admin;
use crate::engine::{Engine, Running, start};
use crate::feed::{Consumers, Feed};
use crate::market_data::MarketData;
use crate::orders::Orders;
use crate::snapshots::Snapshots;
use crate::standby::{Following, Order, Standby, took_over};
use crate::transfers::Transfers;

const MESSAGE_BYTES_MAX: usize = 4 << 20;

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
    let journal = JournalOptions { segment_bytes: options.segment_bytes, fsync: options.fsync };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads)
        .enable_all()
        .build()
        .map_err(|cause| format!("cannot start the runtime: {cause}"))?;
    let (warm, told) = match &options.standby_socket {
        Some(socket) => {
            let following = Following::start(&options.folder)?;
            let Some(order) = runtime.block_on(follow(options, socket, &following))? else {
                return Ok(());
            };
            (Some(following.finish()?), Some(order))
        }
        None => (None, None),
    };
    let running = start(&options.folder, journal, options.init, warm).map_err(|error| error.to_string())?;
    let Running { engine, scan, shadow, threads } = running;
    if scan.torn_bytes > 0 {
        eprintln!("engine: cut a torn tail of {} bytes, none of it acknowledged", scan.torn_bytes);
    }
    if !options.fsync {
        eprintln!("engine: --no-fsync: acknowledgements are not durable, for benchmarks only");
    }
    let snapshots = Snapshots::start(&options.folder, engine.clone(), shadow, options.snapshot_every);
    if let Some(order) = told {
        let live = engine.shared.live.lock().expect("nobody panics while holding it").clone();
        order.reply.send(took_over(live.engine_seq, live.epoch)).ok();
    }
    let served = runtime.block_on(serve(options, &engine, &snapshots, scan.records));
    // While the journal is still ours, nobody else can have bound these names.
    for path in [&options.socket, &options.transfers_socket, &options.admin_socket] {
        fs::remove_file(path).ok();
    }
    engine.stop();
    Running::join(threads);
    served
}

/// Follows the leader until this process is told to take over, or to end.
async fn follow(options: &Options, socket: &Path, following: &Following) -> Result<Option<Order>, String> {
    let (orders, mut ordered) = mpsc::channel(1);
    let standby = Standby { folder: options.folder.clone(), venue: following.venue(), orders };
    let listener = listen(socket, options.socket_mode)?;
    tokio::spawn(
        builder()
            .add_service(AdminServer::new(standby))
            .serve_with_incoming(UnixListenerStream::new(listener)),
    );
    eprintln!("engine: standby, following");
    let failed = |cause| format!("cannot listen for signals: {cause}");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        order = ordered.recv() => Ok(order),
        _ = terminate.recv() => Ok(None),
        _ = interrupt.recv() => Ok(None),
    }
}

async fn serve(
    options: &Options,
    engine: &Engine,
    snapshots: &Snapshots,
    replayed: u64,
) -> Result<(), String> {
    let consumers: Consumers = Arc::new(Mutex::new(BTreeMap::new()));
    let feed = Feed { engine: engine.clone(), consumers: consumers.clone() };
    let books = MarketData::new(engine.clone());
    let market_data = || MarketDataServer::new(books.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let feeds = || EventFeedServer::new(feed.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let orders =
        OrderEntryServer::new(Orders { engine: engine.clone() }).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let transfers = TransfersServer::new(Transfers { engine: engine.clone() })
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let admin = AdminServer::new(Admin {
        engine: engine.clone(),
        consumers: consumers.clone(),
        snapshots: snapshots.clone(),
    })
    .max_decoding_message_size(MESSAGE_BYTES_MAX);

    if let Some(address) = &options.metrics {
        crate::metrics::serve(address, engine.clone(), consumers.clone()).await?;
    }
    let (stop, stopped) = watch::channel(false);
    let servers = [
        (&options.socket, builder().add_service(orders).add_service(market_data()).add_service(feeds())),
        (&options.transfers_socket, builder().add_service(transfers).add_service(feeds())),
        (&options.admin_socket, builder().add_service(admin).add_service(market_data()).add_service(feeds())),
    ];
    let mut tasks = tokio::task::JoinSet::new();
    for (path, router) in servers {
        let listener = listen(path, options.socket_mode)?;
        tasks.spawn(answer(router, listener, stopped.clone()));
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

fn builder() -> Server {
    Server::builder()
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(8 << 20)
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .max_frame_size(1 << 20)
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

async fn answer(
    router: Router,
    listener: UnixListener,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    let stop = async move {
        stopped.wait_for(|stopped| *stopped).await.ok();
    };
    router
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), stop)
        .await
        .map_err(|cause| format!("a server ended: {cause}"))
}
