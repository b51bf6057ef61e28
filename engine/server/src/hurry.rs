//! A request must come to its end: what has arrived of it is kept until then, for anybody who sends slowly.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body as Parts, Frame, SizeHint};
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tonic::body::Body;

/// For a whole request, or a session's Hello. The largest one takes milliseconds, on a line that works.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A request's body for as long as somebody waits for it.
pub struct Hurried {
    body: Body,
    /// Runs from the first moment at which something was waited for.
    over: Option<Pin<Box<Sleep>>>,
}

impl Hurried {
    pub fn body(body: Body) -> Body {
        Body::new(Hurried { body, over: None })
    }
}

impl Parts for Hurried {
    type Data = <Body as Parts>::Data;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if polled.is_pending() {
            let over = this.over.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
            if over.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Some(Err(Status::deadline_exceeded(
                    "the request did not come to its end",
                ))));
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
