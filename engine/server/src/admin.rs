//! Administration, on a socket of its own.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use countersign_venue::command::{AdminBody, Scope};
use countersign_venue::market::{Market, check_spec};
use countersign_venue::{Code, Command, LOGIC_VERSION, ORDERS_MAX, PIECE, Venue};
use countersign_wire::Bytes;
use countersign_wire::v1::admin_server::Admin as Service;
use countersign_wire::v1::{
    AdminResult, ConfirmRequest, DrainRequest, DrainResult, Empty, MassCancelRequest, PutAssetRequest,
    PutInstrumentRequest, ResultCode, ResumeRequest, RunAuctionRequest, SetAccountFeesRequest,
    SetInstrumentStateRequest, SetPriceBandRequest, ShardState, ShardStatus, SnapshotInfo, TakeOverRequest,
    VerifyReport, VerifyRequest,
};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::consumers::Consumers;
use crate::convert;
use crate::engine::{COMMANDS_MAX, Engine, Entry, NotTaken, Seen};
use crate::orders::unavailable;
use crate::snapshot_thread::Snapshots;
use crate::verifying::Verifying;

/// How often it is looked whether an auction is over.
const AGAIN: Duration = Duration::from_millis(2);

pub struct Admin {
    pub engine: Engine,
    pub consumers: Consumers,
    pub snapshots: Snapshots,
    pub verifying: Verifying,
}

impl Admin {
    async fn run(
        &self,
        command: Result<Command, Code>,
        detail: &str,
    ) -> Result<Response<AdminResult>, Status> {
        self.run_seen(command, detail, Seen { instrument_id: 0, engine_seq: 0 }).await
    }

    /// Only where the market's state has not changed since it was seen; at 0 nobody has looked.
    async fn run_seen(
        &self,
        command: Result<Command, Code>,
        detail: &str,
        seen: Seen,
    ) -> Result<Response<AdminResult>, Status> {
        let entry = Entry { id: Bytes::new(), session_seq: 0, command };
        let answers = match seen.engine_seq {
            0 => self.engine.command(entry).await,
            _ => self.engine.command_seen(entry, seen).await,
        };
        let answers = answers.map_err(|NotTaken(code)| unavailable(code))?;
        let outcome = answers.told[0].outcome;
        let detail = if outcome.code == Code::Ok { String::new() } else { sentence(outcome.code, detail) };
        Ok(Response::new(AdminResult {
            code: outcome.code as i32,
            engine_seq: outcome.engine_seq,
            epoch: answers.epoch,
            cancelled_orders: outcome.cancelled,
            durability: self.engine.shared.durability as i32,
            detail,
        }))
    }
}

/// What an operator reads when something was refused.
fn sentence(code: Code, detail: &str) -> String {
    let said = match code {
        Code::BadCommand => "the request is malformed or a value is out of its range",
        Code::Unchanged => "it is already so",
        Code::UnknownInstrument => "there is no such instrument",
        Code::UnknownAsset => "an asset is not listed",
        Code::InstrumentState => "the instrument's state does not allow this step",
        Code::NotEmpty => "orders rest in the book, or balances are counted in these units",
        Code::Unsupported => "this engine does not build that",
        Code::PriceOutOfRange => "the price lies outside the instrument's range",
        Code::PriceBand => "the auction would clear outside the price band",
        Code::TooManyOrders => "the shard's limit is reached",
        Code::Overtaken => {
            "since it was looked at, the instrument's state has changed or another leader has begun"
        }
        Code::Unconfirmed => "this leader waits for Admin.Confirm",
        _ => "it was refused",
    };
    if detail.is_empty() { said.to_string() } else { format!("{said}: {detail}") }
}

pub fn status(engine: &Engine, consumers: &Consumers) -> ShardStatus {
    let live = engine.shared.live.lock().expect("nobody panics while holding it").clone();
    let (durable_seq, chain) = engine.shared.durable.get();
    let (fsync_p50_us, fsync_p99_us) = live.flush_us();
    let state = engine.state();
    ShardStatus {
        epoch: live.epoch,
        state: state as i32,
        engine_seq: engine.applied_seq().max(durable_seq),
        durable_seq,
        event_seq: live.event_seq,
        queue_depth: engine.shared.queued.load(Ordering::Relaxed).min(u32::MAX.into()) as u32,
        logic_version: LOGIC_VERSION,
        state_hash: chain.to_vec(),
        state_hash_seq: durable_seq,
        engine_time_ns: live.time_ns,
        snapshot_seq: engine.shared.snapshot_seq.load(Ordering::Relaxed),
        journal_bytes: live.journal_bytes,
        fsync_p50_us,
        fsync_p99_us,
        retry_after_ms: match state {
            ShardState::Draining | ShardState::Upgrading => {
                engine.shared.retry_after_ms.load(Ordering::Relaxed) as u32
            }
            _ => 0,
        },
        consumers: consumers.told(),
        open_orders: live.open_orders,
        accounts: live.accounts,
        version: env!("CARGO_PKG_VERSION").to_string(),
        flush_us_buckets: live.flush_us.counts.to_vec(),
        queue_limit: COMMANDS_MAX,
        awaits_confirmation: !engine.shared.confirmed.load(Ordering::Relaxed),
    }
}

type Statuses = Pin<Box<dyn Stream<Item = Result<ShardStatus, Status>> + Send>>;

#[tonic::async_trait]
impl Service for Admin {
    type WatchStatusStream = Statuses;

    async fn put_asset(&self, request: Request<PutAssetRequest>) -> Result<Response<AdminResult>, Status> {
        let PutAssetRequest { asset, reference } = request.into_inner();
        let body = asset.ok_or(Code::BadCommand).map(|asset| AdminBody::PutAsset(convert::asset_spec(asset)));
        self.run(convert::admin(&reference, body), "").await
    }

    async fn put_instrument(
        &self,
        request: Request<PutInstrumentRequest>,
    ) -> Result<Response<AdminResult>, Status> {
        let PutInstrumentRequest { instrument, reference } = request.into_inner();
        let spec = instrument.ok_or(Code::BadCommand).and_then(convert::instrument_spec);
        let detail = spec.as_ref().ok().and_then(|spec| check_spec(spec).err()).unwrap_or_default();
        self.run(convert::admin(&reference, spec.map(AdminBody::PutInstrument)), detail).await
    }

    async fn set_instrument_state(
        &self,
        request: Request<SetInstrumentStateRequest>,
    ) -> Result<Response<AdminResult>, Status> {
        let SetInstrumentStateRequest { instrument_id, state, reference, seen_seq } = request.into_inner();
        let body = convert::state(state).map(|state| AdminBody::SetState { instrument_id, state });
        let seen = Seen { instrument_id, engine_seq: seen_seq };
        self.run_seen(convert::admin(&reference, body), "", seen).await
    }

    async fn set_price_band(
        &self,
        request: Request<SetPriceBandRequest>,
    ) -> Result<Response<AdminResult>, Status> {
        let SetPriceBandRequest { instrument_id, price_band_ppm, reference_price_ticks, reference } =
            request.into_inner();
        let body =
            AdminBody::SetPriceBand { instrument_id, price_band_ppm, reference_price: reference_price_ticks };
        self.run(convert::admin(&reference, Ok(body)), "").await
    }

    async fn set_account_fees(
        &self,
        request: Request<SetAccountFeesRequest>,
    ) -> Result<Response<AdminResult>, Status> {
        let fees = request.into_inner();
        let own = (!fees.default_fees).then_some((fees.maker_fee_ppm, fees.taker_fee_ppm));
        let body = AdminBody::SetAccountFees { account_id: fees.account_id, fees: own };
        self.run(convert::admin(&fees.reference, Ok(body)), "").await
    }

    async fn run_auction(
        &self,
        request: Request<RunAuctionRequest>,
    ) -> Result<Response<AdminResult>, Status> {
        let RunAuctionRequest { instrument_id, then, reference, seen_seq } = request.into_inner();
        let body = convert::state(then).map(|then| AdminBody::RunAuction { instrument_id, then });
        let seen = Seen { instrument_id, engine_seq: seen_seq };
        let told = self.run_seen(convert::admin(&reference, body), "", seen).await?;
        // Where many trade they do so in pieces. Whoever is answered finds the market handed over.
        let runs = move |venue: &Venue| venue.market(instrument_id).is_some_and(Market::is_uncrossing);
        while self.engine.look(runs).await.map_err(|NotTaken(code)| unavailable(code))? {
            tokio::time::sleep(AGAIN).await;
        }
        Ok(told)
    }

    async fn mass_cancel(
        &self,
        request: Request<MassCancelRequest>,
    ) -> Result<Response<AdminResult>, Status> {
        let request = request.into_inner();
        let scope = Scope {
            account_id: request.account_id,
            owner_ref: request.owner_ref,
            stp_group: request.stp_group,
            instrument_id: request.instrument_id,
            session: 0,
        };
        let body =
            if scope == Scope::default() { Err(Code::BadCommand) } else { Ok(AdminBody::MassCancel(scope)) };
        let command = convert::admin(&request.reference, body);
        // Each piece is a command of its own, and others' come between them.
        let mut cancelled = 0;
        for _ in 0..=ORDERS_MAX / PIECE {
            let mut told = self.run(command.clone(), "").await?;
            cancelled += told.get_ref().cancelled_orders;
            if (told.get_ref().cancelled_orders as usize) < PIECE {
                told.get_mut().cancelled_orders = cancelled;
                return Ok(told);
            }
        }
        Err(Status::aborted(format!("{cancelled} orders were cancelled, and as many have entered meanwhile")))
    }

    async fn drain(&self, request: Request<DrainRequest>) -> Result<Response<DrainResult>, Status> {
        let DrainRequest { release_journal, retry_after_ms } = request.into_inner();
        if retry_after_ms != 0 {
            self.engine.shared.retry_after_ms.store(retry_after_ms.into(), Ordering::Relaxed);
        }
        self.engine.drain();
        // Everything that was taken before lies in the queue ahead of this question. As in the status the hash is the one
        // over all events: hashing a large state here would take longer than clients may be refused.
        let looked = self
            .engine
            .look(|venue| (venue.engine_seq(), venue.event_seq(), venue.chain().to_vec(), venue.epoch()));
        let (engine_seq, event_seq, state_hash, epoch) =
            looked.await.map_err(|NotTaken(code)| unavailable(code))?;
        if release_journal {
            self.engine.release();
        }
        Ok(Response::new(DrainResult { engine_seq, event_seq, state_hash, epoch }))
    }

    async fn resume(&self, _: Request<ResumeRequest>) -> Result<Response<AdminResult>, Status> {
        let code = self.engine.resume();
        let shared = &self.engine.shared;
        Ok(Response::new(AdminResult {
            code: code as i32,
            engine_seq: shared.durable.get().0,
            epoch: shared.live.lock().expect("nobody panics while holding it").epoch,
            ..AdminResult::default()
        }))
    }

    async fn confirm(&self, request: Request<ConfirmRequest>) -> Result<Response<AdminResult>, Status> {
        let shared = &self.engine.shared;
        let epoch = shared.live.lock().expect("nobody panics while holding it").epoch;
        let named = request.into_inner().epoch;
        let (code, detail) = if named != epoch {
            // Since then officers may have stopped what was open.
            (ResultCode::NotLeader, format!("epoch {epoch} leads here, not {named}"))
        } else if shared.confirmed.swap(true, Ordering::AcqRel) {
            (ResultCode::Unchanged, String::new())
        } else {
            eprintln!("engine: confirmed, orders are taken");
            (ResultCode::Ok, String::new())
        };
        let engine_seq = shared.durable.get().0;
        Ok(Response::new(AdminResult {
            code: code as i32,
            engine_seq,
            epoch,
            detail,
            ..AdminResult::default()
        }))
    }

    async fn take_snapshot(&self, _: Request<Empty>) -> Result<Response<SnapshotInfo>, Status> {
        let taken = self.snapshots.take().await.map_err(Status::internal)?;
        Ok(Response::new(SnapshotInfo {
            engine_seq: taken.engine_seq,
            event_seq: taken.event_seq,
            state_hash: taken.state_hash.to_vec(),
            file: taken.file,
            bytes: taken.bytes,
        }))
    }

    async fn verify(&self, request: Request<VerifyRequest>) -> Result<Response<VerifyReport>, Status> {
        if request.into_inner().begin {
            self.verifying.begin().map_err(Status::internal)?;
        }
        Ok(Response::new(self.verifying.told()))
    }

    async fn take_over(&self, _: Request<TakeOverRequest>) -> Result<Response<AdminResult>, Status> {
        Err(Status::failed_precondition("this process leads already"))
    }

    async fn status(&self, _: Request<Empty>) -> Result<Response<ShardStatus>, Status> {
        Ok(Response::new(status(&self.engine, &self.consumers)))
    }

    async fn watch_status(&self, _: Request<Empty>) -> Result<Response<Statuses>, Status> {
        let (sender, receiver) = mpsc::channel(2);
        let (engine, consumers) = (self.engine.clone(), self.consumers.clone());
        tokio::spawn(async move {
            let mut told = None;
            let mut ticks = 0u32;
            loop {
                let state = engine.state();
                if told != Some(state) || ticks.is_multiple_of(20) {
                    told = Some(state);
                    if sender.send(Ok(status(&engine, &consumers))).await.is_err() {
                        return;
                    }
                }
                ticks = ticks.wrapping_add(1);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

#[cfg(test)]
mod tests;
