//! A second process that follows the journal of the first, ready to lead.
//!
//! It reads what the leader has written, and takes over when the journal's lock is free and it is told to, or by itself
//! if it was started so. The lock goes with the leader's process, so two can never write. What it read ahead of a crash
//! is verified again by the start, and the raised epoch tells every consumer that the leader has changed.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use countersign_archive::{Options as ArchiveOptions, Trail};
use countersign_journal::Follower;
use countersign_venue::{LOGIC_VERSION, Output, Venue};
use countersign_wire::v1::admin_server::Admin as Service;
use countersign_wire::v1::{
    AdminResult, ConfirmRequest, DrainRequest, DrainResult, Durability, Empty, MassCancelRequest,
    PutAssetRequest, PutInstrumentRequest, ResultCode, ResumeRequest, RunAuctionRequest,
    SetAccountFeesRequest, SetInstrumentStateRequest, SetPriceBandRequest, ShardState, ShardStatus,
    SnapshotInfo, TakeOverRequest, VerifyReport, VerifyRequest,
};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use crate::silence::Silence;
use crate::start::{Warm, point_of};

/// How often the journal is looked at.
const PAUSE: Duration = Duration::from_millis(2);
/// How often the leader's lock is looked at.
const WATCH: Duration = Duration::from_millis(20);

pub struct Following {
    venue: Arc<Mutex<Venue>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Trail, String>>,
}

impl Following {
    /// Begins with the newest snapshot, or with the journal.
    pub fn start(folder: &Path, archive: &ArchiveOptions) -> Result<Following, String> {
        let newest = crate::snapshots::newest(folder).map_err(|cause| cause.to_string())?;
        let newest = newest.map_or_else(Venue::new, |found| found.venue);
        let mut follower = Follower::new(folder, newest.engine_seq());
        let mut trail = Trail::new(&folder.join("events"), point_of(&newest), archive);
        let mut epoch = newest.epoch();
        let venue = Arc::new(Mutex::new(newest));
        let stop = Arc::new(AtomicBool::new(false));
        let (followed, stopped) = (Arc::clone(&venue), Arc::clone(&stop));
        let follow = move || {
            let mut output = Output::default();
            loop {
                // Whoever stops it wants what is there by then.
                let stopping = stopped.load(Ordering::Acquire);
                let mut venue = followed.lock().expect("nobody panics while holding it");
                let read = follower.poll(|record| {
                    output.clear();
                    venue
                        .replay(record.time_ns, record.bytes, &mut output)
                        .map_err(|cause| cause.to_string())?;
                    trail.expect(&output.bytes, point_of(&venue));
                    if venue.epoch() != epoch {
                        epoch = venue.epoch();
                        trail.begin_again();
                    }
                    Ok(())
                });
                drop(venue);
                let read = read.map_err(|error| error.to_string())?;
                trail.look();
                if let Some(what) = trail.differs() {
                    return Err(format!(
                        "this program computes other events than the leader told: {what}. It does not lead. \
                         Upgrade with a program of the same rules, or of newer ones under a logic version of their own"
                    ));
                }
                match read {
                    _ if stopping => return Ok(trail),
                    0 => thread::sleep(PAUSE),
                    _ => {}
                }
            }
        };
        let thread = thread::Builder::new().name("follow".into()).spawn(follow);
        Ok(Following { venue, stop, thread: thread.map_err(|cause| cause.to_string())? })
    }

    /// Returns once it does not follow any more.
    pub async fn broken(&self) {
        while !self.thread.is_finished() {
            tokio::time::sleep(WATCH).await;
        }
    }

    /// Ends following; gives what it came to, or why it ended before.
    pub fn finish(self) -> Result<Warm, String> {
        self.stop.store(true, Ordering::Release);
        let trail = self.thread.join().map_err(|_| "the following thread panicked".to_string())??;
        let mut venue = self.venue.lock().expect("nobody panics while holding it");
        Ok(Warm { venue: std::mem::take(&mut *venue), trail })
    }

    pub fn venue(&self) -> Arc<Mutex<Venue>> {
        Arc::clone(&self.venue)
    }
}

/// To lead; whoever asked for it is answered when it does.
pub struct Order {
    pub reply: Option<oneshot::Sender<AdminResult>>,
}

/// Returns once nobody holds the journal. A leader that has given no sign of life for `silence` is ended, unless
/// that is zero: only the kernel's release of its lock lets this process write.
pub async fn leaderless(folder: &Path, silence: Duration) {
    let heard = || countersign_journal::last_beat(folder);
    let mut silent = Silence::begin(heard(), Instant::now());
    while countersign_journal::is_led(folder) {
        tokio::time::sleep(WATCH).await;
        let lasts = silent.look(heard(), Instant::now());
        if !silence.is_zero() && lasts >= silence {
            match countersign_journal::fence(folder) {
                Ok(()) => eprintln!("engine: the leader was silent for {silence:?} and has been ended"),
                Err(cause) => eprintln!("engine: the leader is silent and cannot be ended: {cause}"),
            }
            silent = Silence::begin(heard(), Instant::now());
        }
    }
    eprintln!("engine: the leader is gone, taking over");
}

pub struct Standby {
    pub folder: PathBuf,
    pub venue: Arc<Mutex<Venue>>,
    pub orders: mpsc::Sender<Order>,
}

impl Standby {
    /// Whether this socket still speaks for its process: since that leads, or is about to, another one does.
    fn follows(&self) -> Result<(), Status> {
        if self.orders.is_closed() { Err(Status::failed_precondition(LEADS)) } else { Ok(()) }
    }

    /// What a leader does, somebody else must be asked for.
    fn refuse<T>(&self) -> Result<Response<T>, Status> {
        self.follows()?;
        Err(Status::failed_precondition("this process follows another one; ask the leader"))
    }

    fn told(&self) -> Result<ShardStatus, Status> {
        self.follows()?;
        let venue = self.venue.lock().expect("nobody panics while holding it");
        Ok(ShardStatus {
            epoch: venue.epoch(),
            state: ShardState::Standby as i32,
            engine_seq: venue.engine_seq(),
            event_seq: venue.event_seq(),
            logic_version: LOGIC_VERSION,
            state_hash: venue.chain().to_vec(),
            state_hash_seq: venue.engine_seq(),
            engine_time_ns: venue.time_ns(),
            open_orders: venue.open_orders_count() as u64,
            accounts: venue.accounts_count() as u64,
            version: env!("CARGO_PKG_VERSION").to_string(),
            ..ShardStatus::default()
        })
    }
}

const LEADS: &str = "this process leads already: ask on its admin socket";

type Statuses = Pin<Box<dyn Stream<Item = Result<ShardStatus, Status>> + Send>>;

#[tonic::async_trait]
impl Service for Standby {
    type WatchStatusStream = Statuses;

    async fn take_over(&self, request: Request<TakeOverRequest>) -> Result<Response<AdminResult>, Status> {
        let patience = Duration::from_millis(request.into_inner().wait_ms.into());
        let began = Instant::now();
        let gone = || Status::failed_precondition(LEADS);
        while countersign_journal::is_led(&self.folder) {
            // It may be this very process that leads: one that takes over by itself was quicker.
            self.follows()?;
            if began.elapsed() >= patience {
                return Ok(Response::new(AdminResult {
                    code: ResultCode::Busy as i32,
                    detail: "the leader lives: drain it with release_journal first".into(),
                    ..AdminResult::default()
                }));
            }
            tokio::time::sleep(PAUSE).await;
        }
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order { reply: Some(reply) }).await.map_err(|_| gone())?;
        Ok(Response::new(answer.await.map_err(|_| gone())?))
    }

    async fn status(&self, _: Request<Empty>) -> Result<Response<ShardStatus>, Status> {
        Ok(Response::new(self.told()?))
    }

    async fn watch_status(&self, _: Request<Empty>) -> Result<Response<Statuses>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(self.told()?)))))
    }

    async fn put_asset(&self, _: Request<PutAssetRequest>) -> Result<Response<AdminResult>, Status> {
        self.refuse()
    }

    async fn put_instrument(
        &self,
        _: Request<PutInstrumentRequest>,
    ) -> Result<Response<AdminResult>, Status> {
        self.refuse()
    }

    async fn set_instrument_state(
        &self,
        _: Request<SetInstrumentStateRequest>,
    ) -> Result<Response<AdminResult>, Status> {
        self.refuse()
    }

    async fn set_price_band(&self, _: Request<SetPriceBandRequest>) -> Result<Response<AdminResult>, Status> {
        self.refuse()
    }

    async fn set_account_fees(
        &self,
        _: Request<SetAccountFeesRequest>,
    ) -> Result<Response<AdminResult>, Status> {
        self.refuse()
    }

    async fn run_auction(&self, _: Request<RunAuctionRequest>) -> Result<Response<AdminResult>, Status> {
        self.refuse()
    }

    async fn mass_cancel(&self, _: Request<MassCancelRequest>) -> Result<Response<AdminResult>, Status> {
        self.refuse()
    }

    async fn drain(&self, _: Request<DrainRequest>) -> Result<Response<DrainResult>, Status> {
        self.refuse()
    }

    async fn resume(&self, _: Request<ResumeRequest>) -> Result<Response<AdminResult>, Status> {
        self.refuse()
    }

    async fn confirm(&self, _: Request<ConfirmRequest>) -> Result<Response<AdminResult>, Status> {
        self.refuse()
    }

    async fn take_snapshot(&self, _: Request<Empty>) -> Result<Response<SnapshotInfo>, Status> {
        self.refuse()
    }

    async fn verify(&self, _: Request<VerifyRequest>) -> Result<Response<VerifyReport>, Status> {
        self.refuse()
    }
}

pub fn took_over(engine_seq: u64, epoch: u64) -> AdminResult {
    AdminResult {
        code: ResultCode::Ok as i32,
        engine_seq,
        epoch,
        durability: Durability::Disk as i32,
        ..AdminResult::default()
    }
}
