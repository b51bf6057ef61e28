//! Answers every frame at once and decides nothing: what the transport alone costs.

use std::pin::Pin;

use countersign_wire::v1::order_entry_server::{OrderEntry, OrderEntryServer};
use countersign_wire::v1::{
    ClientFrame, CommandBatch, CommandResult, QueryCommandRequest, ResultBatch, ServerFrame,
    Welcome, client_frame, server_frame,
};
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::option;

struct Echo;

fn answer(batch: CommandBatch) -> ResultBatch {
    let results = batch
        .commands
        .into_iter()
        .map(|command| CommandResult {
            session_seq: command.session_seq,
            command_id: command.command_id,
            code: 1,
            engine_seq: command.session_seq,
            order_id: 1,
            engine_time_ns: command.expires_at_ms * 1_000_000,
            ..CommandResult::default()
        })
        .collect();
    ResultBatch {
        epoch: 1,
        results,
        durable_seq: 0,
    }
}

#[tonic::async_trait]
impl OrderEntry for Echo {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<ServerFrame, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<ClientFrame>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let answers = request.into_inner().map(|frame| {
            let frame = match frame?.frame {
                Some(client_frame::Frame::Batch(batch)) => {
                    server_frame::Frame::Results(answer(batch))
                }
                _ => server_frame::Frame::Welcome(Welcome::default()),
            };
            Ok(ServerFrame { frame: Some(frame) })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn submit_batch(
        &self,
        request: Request<CommandBatch>,
    ) -> Result<Response<ResultBatch>, Status> {
        Ok(Response::new(answer(request.into_inner())))
    }

    async fn query_command(
        &self,
        _: Request<QueryCommandRequest>,
    ) -> Result<Response<CommandResult>, Status> {
        Err(Status::unimplemented("an echo remembers nothing"))
    }
}

pub fn run(arguments: &[String]) -> Result<(), String> {
    let socket = option(arguments, "--socket")
        .ok_or("--socket is missing")?
        .to_string();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.map_err(|cause| cause.to_string())?.block_on(async {
        let mut server = Server::builder()
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(8 << 20)
            .max_frame_size(1 << 20)
            .tcp_nodelay(true);
        if let Some(address) = option(arguments, "--tls-listen") {
            server = server
                .tls_config(tls(arguments)?)
                .map_err(|cause| cause.to_string())?;
            let listener = TcpListener::bind(address)
                .await
                .map_err(|cause| cause.to_string())?;
            let bound = listener.local_addr().map_err(|cause| cause.to_string())?;
            eprintln!("echo: TLS on {bound}");
            eprintln!("echo: ready");
            return server
                .serve_with_incoming(
                    OrderEntryServer::new(Echo),
                    TcpListenerStream::new(listener),
                )
                .await
                .map_err(|cause| cause.to_string());
        }
        std::fs::remove_file(&socket).ok();
        let listener = UnixListener::bind(&socket).map_err(|cause| cause.to_string())?;
        eprintln!("echo: ready");
        server
            .serve_with_incoming(
                OrderEntryServer::new(Echo),
                UnixListenerStream::new(listener),
            )
            .await
            .map_err(|cause| cause.to_string())
    })
}

/// The same certificates on both sides as the engine asks for.
fn tls(arguments: &[String]) -> Result<ServerTlsConfig, String> {
    let read = |name: &str| {
        let path = option(arguments, name).ok_or(format!("{name} is missing"))?;
        std::fs::read(path).map_err(|cause| format!("{path}: {cause}"))
    };
    Ok(ServerTlsConfig::new()
        .identity(Identity::from_pem(read("--tls-cert")?, read("--tls-key")?))
        .client_ca_root(Certificate::from_pem(read("--tls-client-ca")?)))
}
