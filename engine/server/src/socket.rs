//! A unix socket whose reader is woken by what there is to read, and by nothing else.
//!
//! The kernel says of a unix socket that there is room whenever the other end has read anything. Who asked to be told,
//! as tokio's own socket always does, is woken once more for each frame, for nothing. So room is only asked for after a
//! write found none.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

pub struct Socket {
    /// Nothing after an error on the way between the two ways to listen.
    stream: Option<AsyncFd<UnixStream>>,
    /// A write found no room.
    blocked: bool,
    /// Whoever waits for something to read.
    reader: Option<Waker>,
}

fn register(stream: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    // SAFETY: a stream owns its descriptor, and names the same one for as long as it lives.
    Ok(unsafe { AsyncFd::register_with_interest(stream, interest) }?)
}

impl Socket {
    pub fn new(stream: tokio::net::UnixStream) -> io::Result<Socket> {
        let stream = register(stream.into_std()?, Interest::READABLE)?;
        Ok(Socket { stream: Some(stream), blocked: false, reader: None })
    }

    fn stream(&self) -> io::Result<&AsyncFd<UnixStream>> {
        self.stream.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn listen_for(&mut self, interest: Interest) -> io::Result<()> {
        let stream = self.stream.take().ok_or(io::ErrorKind::NotConnected)?.into_inner();
        self.stream = Some(register(stream, interest)?);
        // It waits where nobody listens any more, and must ask again.
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Ok(())
    }

    fn poll_out(
        &mut self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&UnixStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let written = if self.blocked {
                let mut room = ready!(self.stream()?.poll_write_ready(cx))?;
                let Ok(written) = room.try_io(|stream| write(stream.get_ref())) else { continue };
                self.blocked = false;
                self.listen_for(Interest::READABLE)?;
                written
            } else {
                write(self.stream()?.get_ref())
            };
            match written {
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    self.listen_for(Interest::READABLE | Interest::WRITABLE)?;
                    self.blocked = true;
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let Poll::Ready(ready) = this.stream()?.poll_read_ready(cx) else {
                if !this.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
                    this.reader = Some(cx.waker().clone());
                }
                return Poll::Pending;
            };
            let mut ready = ready?;
            let room = into.initialize_unfilled();
            match ready.try_io(|stream| stream.get_ref().read(room)) {
                Ok(Ok(size)) => {
                    // Less than there was room for: nothing is left, and to be told so is a call saved.
                    if 0 < size && size < room.len() {
                        ready.clear_ready();
                    }
                    into.advance(size);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(cause)) if cause.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(cause)) => return Poll::Ready(Err(cause)),
                Err(_nothing) => {}
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_out(cx, |mut stream| stream.write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_out(cx, |mut stream| stream.write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream()?.get_ref().shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
    use tokio::time::sleep;

    use super::*;

    fn pair() -> (Socket, tokio::net::UnixStream) {
        let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
        (Socket::new(ours).unwrap(), theirs)
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn is_not_woken_because_the_other_end_has_read() {
        let (mut ours, mut theirs) = pair();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut room = [0; 8];
        let mut into = ReadBuf::new(&mut room);
        let polled = Pin::new(&mut ours).poll_read(&mut Context::from_waker(&waker), &mut into);
        assert!(polled.is_pending());
        ours.write_all(b"answer").await.unwrap();
        theirs.read_exact(&mut [0; 6]).await.unwrap();
        sleep(Duration::from_millis(20)).await;
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        theirs.write_all(b"order").await.unwrap();
        sleep(Duration::from_millis(20)).await;
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        let polled = Pin::new(&mut ours).poll_read(&mut Context::from_waker(&waker), &mut into);
        assert!(polled.is_ready());
        assert_eq!(into.filled(), b"order");
    }

    #[tokio::test]
    async fn more_than_fits_is_written_whole_while_something_else_is_read() {
        const MUCH: usize = 4 << 20;
        let (ours, theirs) = pair();
        let (mut ours_in, mut ours_out) = split(ours);
        let (mut theirs_in, mut theirs_out) = split(theirs);
        let writing = tokio::spawn(async move {
            let bytes: Vec<u8> = (0..MUCH).map(|at| at as u8).collect();
            ours_out.write_all(&bytes).await.unwrap();
            ours_out.shutdown().await.unwrap();
        });
        // Waits already when the writer finds no room.
        let reading = tokio::spawn(async move {
            let mut heard = [0; 5];
            ours_in.read_exact(&mut heard).await.unwrap();
            heard
        });
        sleep(Duration::from_millis(20)).await;
        assert!(!writing.is_finished());
        theirs_out.write_all(b"order").await.unwrap();
        assert_eq!(&reading.await.unwrap(), b"order");
        let mut told = Vec::new();
        theirs_in.read_to_end(&mut told).await.unwrap();
        writing.await.unwrap();
        assert!(told.len() == MUCH && told.iter().enumerate().all(|(at, byte)| *byte == at as u8));
    }
}
