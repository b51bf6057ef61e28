//! One call: its commands as they are sent but for their numbers, the answers in their places, and who waits for them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_wire::v1::CommandResult;

/// What became of one command, as the caller reads it: `engine_bridge/adapters/decoding.py` has the same layout.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub code: i32,
    pub duplicate: u8,
    pub state: State,
    pub room: u16,
    pub engine_seq: u64,
    pub order_id: u64,
    pub filled_lots: u64,
    pub leaves_lots: u64,
    pub engine_time_ns: u64,
}

#[repr(u8)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It may have left this process, and nothing is known of it.
    #[default]
    Open = 0,
    Told = 1,
    /// It was taken back before it left, and never will.
    Unsent = 2,
    /// It left twice, and the second time nobody looked what the first had come to.
    Unclear = 3,
}

impl Answer {
    fn told(result: &CommandResult) -> Self {
        Self {
            code: result.code,
            duplicate: u8::from(result.duplicate),
            state: State::Told,
            room: 0,
            engine_seq: result.engine_seq,
            order_id: result.order_id,
            filled_lots: result.filled_lots,
            leaves_lots: result.leaves_lots,
            engine_time_ns: result.engine_time_ns,
        }
    }
}

#[derive(Debug)]
pub struct Ticket {
    commands: Vec<u8>,
    ends: Vec<usize>,
    answers: Mutex<Answers>,
    answered: Condvar,
}

#[derive(Debug)]
pub struct Answers {
    pub each: Vec<Answer>,
    /// How many have none.
    pub left: usize,
    /// Whether some will never have one.
    unclear: bool,
    /// Nobody will bring any more.
    given_up: bool,
}

impl Answers {
    /// Keep this command's answer, if it had none: a first answer stays.
    pub fn keep(&mut self, place: usize, result: &CommandResult) -> bool {
        self.close(place, Answer::told(result))
    }

    /// No answer of this command's will come that says what became of it.
    pub fn leave(&mut self, place: usize) -> bool {
        self.close(place, Answer { state: State::Unclear, ..Answer::default() })
    }

    fn close(&mut self, place: usize, answer: Answer) -> bool {
        let new = self.each[place].state == State::Open;
        if new {
            self.unclear |= answer.state == State::Unclear;
            self.each[place] = answer;
            self.left -= 1;
        }
        new
    }
}

impl Ticket {
    /// The commands lie one behind the other. None where the sizes say something else.
    pub fn new(commands: &[u8], sizes: &[u8]) -> Option<Self> {
        let mut end = 0;
        let ends: Vec<usize> = sizes
            .iter()
            .map(|&size| {
                end += usize::from(size);
                end
            })
            .collect();
        let left = ends.len();
        let answers = Mutex::new(Answers {
            each: vec![Answer::default(); left],
            left,
            unclear: false,
            given_up: false,
        });
        (end == commands.len()).then(|| Self {
            commands: commands.to_vec(),
            ends,
            answers,
            answered: Condvar::new(),
        })
    }

    pub fn count(&self) -> usize {
        self.ends.len()
    }

    pub fn command(&self, place: usize) -> &[u8] {
        let begin = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.commands[begin..self.ends[place]]
    }

    /// An answer is kept whole or not at all, so those of whoever panicked here count.
    pub fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether everything was answered within the time.
    pub fn wait(&self, limit: Duration) -> bool {
        let open = |answers: &mut Answers| answers.left > 0 && !answers.given_up;
        let waited = self.answered.wait_timeout_while(self.answers(), limit, open);
        let answers = waited.unwrap_or_else(PoisonError::into_inner).0;
        answers.left == 0 && !answers.unclear
    }

    /// Let the waiting thread go with what it has: of the rest nothing will be heard here.
    pub fn give_up(&self) {
        self.answers().given_up = true;
        self.wake();
    }

    /// Let the waiting thread look.
    pub fn wake(&self) {
        self.answered.notify_one();
    }
}
