//! How long a certificate speaks for a connection: to its end, and no longer than that.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock::wall_ms;

/// The clock is looked at so often: it may be set while a connection lasts.
const LOOK: Duration = Duration::from_secs(60);

/// A connection's right to go on.
#[derive(Default)]
pub enum Lease {
    /// Whoever is at the other end stays who it is.
    #[default]
    Endless,
    Runs(Pin<Box<dyn Future<Output = ()> + Send>>),
    Over,
}

impl Lease {
    /// Until this second of Unix time.
    pub fn until(end_s: u64) -> Lease {
        Lease::Runs(Box::pin(async move {
            let left = || Duration::from_millis((end_s.saturating_mul(1_000)).saturating_sub(wall_ms()));
            while !left().is_zero() {
                tokio::time::sleep(left().min(LOOK)).await;
            }
        }))
    }

    /// Whether it is over; wakes the task when it will be.
    pub fn poll_over(&mut self, cx: &mut Context<'_>) -> bool {
        if let Lease::Runs(end) = self
            && let Poll::Ready(()) = end.as_mut().poll(cx)
        {
            *self = Lease::Over;
        }
        matches!(self, Lease::Over)
    }
}

/// The last second of a certificate in DER, in Unix time. `None`: it is no certificate that we can read.
pub fn not_after(certificate: &[u8]) -> Option<u64> {
    let (certificate, _) = element(certificate, 0x30)?;
    let (mut rest, _) = element(certificate, 0x30)?;
    if let Some((_, after)) = element(rest, 0xA0) {
        rest = after; // the version
    }
    // Number, algorithm, issuer.
    for tag in [0x02, 0x30, 0x30] {
        rest = element(rest, tag)?.1;
    }
    let (validity, _) = element(rest, 0x30)?;
    let after_begin = element(validity, 0x17).or_else(|| element(validity, 0x18))?.1;
    match element(after_begin, 0x17) {
        Some((short, _)) => {
            // RFC 5280: two digits stand for 1950 to 2049.
            let year = number(short.get(..2)?)?;
            seconds(if year < 50 { 2_000 + year } else { 1_900 + year }, short.get(2..)?)
        }
        None => {
            let (long, _) = element(after_begin, 0x18)?;
            seconds(number(long.get(..4)?)?, long.get(4..)?)
        }
    }
}

/// What a DER element of this tag holds, and what comes behind it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&length, mut rest) = rest.split_first()?;
    let mut length = usize::from(length);
    if length >= 0x80 {
        let digits;
        (digits, rest) = rest.split_at_checked(length - 0x80).filter(|(digits, _)| digits.len() <= 4)?;
        length = digits.iter().fold(0, |sum, &digit| sum << 8 | usize::from(digit));
    }
    if found == tag { rest.split_at_checked(length) } else { None }
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Month, day, hour, minute and second as `MMDDhhmmssZ`, in Unix time; a moment before that began is its beginning.
fn seconds(year: u64, text: &[u8]) -> Option<u64> {
    let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|at| number(text.get(at..at + 2)?));
    let (month, day) = (month?, day?);
    if text.get(10..) != Some(b"Z") || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1 March of the year 0, where a leap day is the last of its year; 719,468 of them until 1970.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some(days.saturating_sub(719_468) * 86_400 + hour? * 3_600 + minute? * 60 + second?)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn ending(params: impl FnOnce(&mut CertificateParams)) -> Option<u64> {
        let mut certificate = CertificateParams::new(vec![]).unwrap();
        params(&mut certificate);
        not_after(certificate.self_signed(&KeyPair::generate().unwrap()).unwrap().der())
    }

    #[test]
    fn the_last_second_is_read_in_both_ways_of_writing_it() {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        // The last one that is written short, a leap day, the first one that is written long, and far away.
        for end in [86_400, 951_827_696, 1_709_210_096, 2_524_607_999, 2_524_608_000, 32_503_680_000] {
            let told = ending(|params| params.not_after = epoch + Duration::from_secs(end));
            assert_eq!(told, Some(end));
        }
        assert_eq!(ending(|params| params.not_after = rcgen::date_time_ymd(1955, 1, 1)), Some(0));
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        let der = CertificateParams::new(vec![]).unwrap();
        let der = der.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
        assert!(not_after(&der).is_some());
        // The date ends within the first half: what is cut before it is never read beyond its end.
        for length in 0..der.len() / 2 {
            not_after(&der[..length]);
        }
        assert_eq!(not_after(&der[..16]), None);
        assert_eq!(not_after(&[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]), None);
    }
}
