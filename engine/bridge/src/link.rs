//! One connection: what waits to be written to its socket, and its keys where it has any.

use std::io::{Read, Write};
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use rustls::ClientConnection;

use crate::http::{End, Word};
use crate::outward::Outward;

pub struct Link {
    socket: BorrowedFd<'static>,
    out: Outward,
    tls: Option<ClientConnection>,
    sealed: Vec<u8>,
    /// False where the socket took nothing any more. Whoever reads is about to be told.
    whole: bool,
}

impl Link {
    /// The socket belongs to the caller, who keeps it open for as long as the link is.
    pub fn new(socket: BorrowedFd<'static>, out: Outward, tls: Option<ClientConnection>) -> Self {
        Self { socket, out, tls, sealed: Vec::new(), whole: true }
    }

    pub fn is_whole(&self) -> bool {
        self.whole
    }

    pub fn message(&mut self, message: &[u8]) {
        self.out.message(message);
    }

    pub fn hear(&mut self, word: &Word) {
        self.out.hear(word);
    }

    /// Write what the socket takes now; the rest follows. Never waits.
    pub fn push(&mut self) {
        let mut waiting = self.out.waiting();
        if let Some(tls) = &mut self.tls {
            // Into memory, where nothing fails; what a broken connection cannot seal is told to its reader.
            let _ = tls.writer().write_all(waiting);
            waiting.clear();
            while tls.wants_write() && tls.write_tls(&mut self.sealed).is_ok() {}
            waiting = &mut self.sealed;
        }
        if waiting.is_empty() || !self.whole {
            return;
        }
        match send(self.socket, waiting, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(sent) => drop(waiting.drain(..sent)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.whole = false,
        }
    }

    /// What these bytes say, behind `plain`, without TLS's own. What was said before an end counts.
    pub fn open(&mut self, mut bytes: &[u8], plain: &mut Vec<u8>) -> Result<(), End> {
        let Some(tls) = &mut self.tls else {
            plain.extend_from_slice(bytes);
            return Ok(());
        };
        let broken = |why: &dyn std::fmt::Display| End::Away(why.to_string());
        let shaking_hands = tls.is_handshaking();
        while !bytes.is_empty() {
            tls.read_tls(&mut bytes).map_err(|why| broken(&why))?;
            let state = tls.process_new_packets().map_err(|why| broken(&why))?;
            let begin = plain.len();
            plain.resize(begin + state.plaintext_bytes_to_read(), 0);
            tls.reader().read_exact(&mut plain[begin..]).map_err(|why| broken(&why))?;
            if state.peer_has_closed() {
                return Err(broken(&"the connection ended"));
            }
        }
        if shaking_hands && !tls.is_handshaking() && tls.alpn_protocol() != Some(b"h2") {
            return Err(broken(&"no HTTP/2 behind this TLS: it is no engine"));
        }
        Ok(())
    }
}
