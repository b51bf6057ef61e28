//! What this process has under way: commands numbered on the way out, and each answer given to the call that waits.
//!
//! A command stays here from the moment it is handed over until its answer comes or it is taken back. After a
//! reconnection everything unanswered is sent again under new numbers, otherwise byte for byte; the engine answers a
//! command that it has taken before with its first outcome. One that turns everything away at its door has not looked
//! for any: what it says of such a command is no answer, and whoever waits is let go to ask what became of it.
//!
//! Nothing waits for a timer: a frame may leave at once while fewer than eight are unanswered, and takes along all
//! that has gathered. Under load the answers' own pace makes the batches.

use std::collections::VecDeque;
use std::sync::Arc;

use countersign_wire::v1::{ResultBatch, ResultCode};

use crate::faults::{self, Place};
use crate::http::varint;
use crate::ticket::{State, Ticket};

pub const FRAMES_IN_FLIGHT_MAX: usize = 8;
/// Commands in a frame: of no more than 128 bytes each, so a frame has 64 KiB at most.
pub const BATCH_MAX: usize = 512;
/// More commands than this are not taken: whoever comes then is told at once that we are busy.
pub const WAITING_MAX: usize = 2 * FRAMES_IN_FLIGHT_MAX * BATCH_MAX;

/// Tags: ClientFrame.batch, CommandBatch.commands, and Command.session_seq, which stands first.
const BATCH: u8 = 0x12;
const COMMANDS: u8 = 0x0a;
const NUMBER: u8 = 0x10;

/// Commands of one call that follow one another and leave in one frame.
#[derive(Debug)]
struct Run {
    ticket: Arc<Ticket>,
    /// The first one's place in the call.
    begin: usize,
    count: usize,
    /// Its number when it left last, 0 as long as it never did.
    first: u64,
    /// Whether it left on a former connection, and may have been taken there.
    again: bool,
}

impl Run {
    /// What is to be sent again, in its order: the pieces between what was answered.
    fn unanswered(&self) -> Vec<Run> {
        let answers = self.ticket.answers();
        let run = &answers.each[self.begin..self.begin + self.count];
        let told = |at: &usize| run[*at].state != State::Open;
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(begin) = (at..self.count).find(|at| !told(at)) {
            at = (begin..self.count).find(told).unwrap_or(self.count);
            let ticket = self.ticket.clone();
            let (begin, count) = (self.begin + begin, at - begin);
            found.push(Run { ticket, begin, count, first: self.first, again: true });
        }
        found
    }
}

/// Runs that went out together, under numbers that follow one another.
#[derive(Debug)]
struct Frame {
    first: u64,
    end: u64,
    left: usize,
    runs: Vec<Run>,
}

#[derive(Debug)]
pub struct Session {
    waiting: VecDeque<Run>,
    /// Those that are not answered yet, oldest first.
    frames: VecDeque<Frame>,
    next_seq: u64,
    depth: usize,
    epoch: u64,
}

/// So many commands are here already; none of the call's was taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy(pub usize);

/// Answers of an epoch before that of the newest leader.
#[derive(Debug, PartialEq, Eq)]
pub struct Stale {
    pub epoch: u64,
    pub newest: u64,
}

impl Default for Session {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), frames: VecDeque::new(), next_seq: 1, depth: 0, epoch: 0 }
    }
}

impl Session {
    /// The number of the command that leaves next.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// How many commands are here, waiting or unanswered.
    pub fn depth(&self) -> usize {
        self.depth
    }

    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Frames that are not answered yet.
    pub fn under_way(&self) -> usize {
        self.frames.len()
    }

    /// Queue a call's commands in their order.
    pub fn take(&mut self, ticket: &Arc<Ticket>) -> Result<(), Busy> {
        faults::pass(Place::Taking);
        let count = ticket.count();
        if self.depth + count > WAITING_MAX {
            return Err(Busy(self.depth));
        }
        self.depth += count;
        self.waiting.extend((0..count).step_by(BATCH_MAX).map(|begin| Run {
            ticket: ticket.clone(),
            begin,
            count: BATCH_MAX.min(count - begin),
            first: 0,
            again: false,
        }));
        Ok(())
    }

    /// Take back what of the call has not left this process: it never will.
    pub fn withdraw(&mut self, ticket: &Arc<Ticket>) {
        let mut answers = ticket.answers();
        self.waiting.retain(|run| {
            let mine = run.first == 0 && Arc::ptr_eq(&run.ticket, ticket);
            if mine {
                self.depth -= run.count;
                for answer in &mut answers.each[run.begin..run.begin + run.count] {
                    answer.state = State::Unsent;
                }
            }
            !mine
        });
    }

    /// A leader has greeted us: put what is unanswered back in front, to be numbered anew. A number is no part of the
    /// command, and only has to be above all that the engine has seen.
    pub fn resume(&mut self, epoch: u64, last_applied: u64) {
        faults::pass(Place::Greeted);
        self.epoch = epoch;
        self.next_seq = self.next_seq.max(last_applied.saturating_add(1));
        let mut again: VecDeque<Run> =
            self.frames.drain(..).flat_map(|frame| frame.runs).flat_map(|run| run.unanswered()).collect();
        again.append(&mut self.waiting);
        self.waiting = again;
    }

    /// Something broke in here, and nothing is known any more of what was under way: whoever waits is let go, to ask
    /// about it. Nothing of it is sent again. Numbers go on, and a leader that was replaced stays so.
    pub fn give_up(&mut self) {
        let Session { waiting, frames, next_seq, epoch, .. } = std::mem::take(self);
        (self.next_seq, self.epoch) = (next_seq, epoch);
        let runs = frames.into_iter().flat_map(|frame| frame.runs).chain(waiting);
        runs.for_each(|run| run.ticket.give_up());
    }

    /// The next message to send, if one may go now.
    ///
    /// Messages written one behind the other are read as one, so nothing is copied from its command but bytes.
    pub fn following(&mut self) -> Option<Vec<u8>> {
        if self.waiting.is_empty() || self.frames.len() >= FRAMES_IN_FLIGHT_MAX {
            return None;
        }
        let first = self.next_seq;
        let (mut count, mut room) = (0, BATCH_MAX);
        let mut batch = Vec::new();
        // They stay where `give_up` finds them until they are in a frame.
        for run in &mut self.waiting {
            if run.count > room {
                break;
            }
            count += 1;
            room -= run.count;
            run.first = self.next_seq;
            for place in run.begin..run.begin + run.count {
                let command = run.ticket.command(place);
                batch.push(COMMANDS);
                varint(&mut batch, (1 + size(self.next_seq) + command.len()) as u64);
                batch.push(NUMBER);
                varint(&mut batch, self.next_seq);
                batch.extend_from_slice(command);
                self.next_seq += 1;
            }
        }
        let mut message = Vec::with_capacity(batch.len() + 8);
        message.push(BATCH);
        varint(&mut message, batch.len() as u64);
        message.append(&mut batch);
        faults::pass(Place::Numbered);
        let left = (self.next_seq - first) as usize;
        let runs = self.waiting.drain(..count).collect();
        self.frames.push_back(Frame { first, end: self.next_seq, left, runs });
        Some(message)
    }

    /// Give the answers to whom they belong; adds the calls that are answered by them as a whole.
    pub fn settle(&mut self, batch: &ResultBatch, answered: &mut Vec<Arc<Ticket>>) -> Result<(), Stale> {
        if batch.epoch < self.epoch {
            return Err(Stale { epoch: batch.epoch, newest: self.epoch });
        }
        self.epoch = batch.epoch;
        for result in &batch.results {
            let number = result.session_seq;
            let Some(at) = self.frames.iter().position(|frame| (frame.first..frame.end).contains(&number))
            else {
                continue;
            };
            let frame = &mut self.frames[at];
            let run = &frame.runs[frame.runs.partition_point(|run| run.first <= number) - 1];
            let mut answers = run.ticket.answers();
            let place = run.begin + (number - run.first) as usize;
            let unclear = run.again && is_at_the_door(result.code());
            if !(if unclear { answers.leave(place) } else { answers.keep(place, result) }) {
                continue;
            }
            if answers.left == 0 {
                answered.push(run.ticket.clone());
            }
            drop(answers);
            faults::pass(Place::Kept);
            self.depth -= 1;
            frame.left -= 1;
            if frame.left == 0 {
                self.frames.remove(at);
                faults::pass(Place::Settled);
            }
        }
        Ok(())
    }
}

/// Whether the engine says so of all that comes, without a look at what it has taken before.
fn is_at_the_door(code: ResultCode) -> bool {
    matches!(code, ResultCode::Busy | ResultCode::Draining | ResultCode::NotLeader | ResultCode::Failed)
}

/// Bytes of a varint.
fn size(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}
