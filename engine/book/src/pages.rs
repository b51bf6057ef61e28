//! A table by dense number, in pages that are made one at a time.
//!
//! Whoever doubles a table writes all of its new half: with two million accounts that would hold everybody up for tens of
//! milliseconds. A page is made when somebody on it first has something, and none ever moves.

const PAGE: usize = 1 << 10;

/// Every number is there, and stands for `fresh` until it is written to.
pub struct Pages<T> {
    pages: Vec<Option<Box<[T; PAGE]>>>,
    fresh: T,
}

impl<T: Copy> Pages<T> {
    pub fn new(fresh: T) -> Pages<T> {
        Pages { pages: Vec::new(), fresh }
    }

    #[inline]
    pub fn get(&self, at: usize) -> T {
        match self.pages.get(at / PAGE) {
            Some(Some(page)) => page[at % PAGE],
            _ => self.fresh,
        }
    }

    #[inline]
    pub fn at(&mut self, at: usize) -> &mut T {
        let number = at / PAGE;
        if !matches!(self.pages.get(number), Some(Some(_))) {
            self.make(number);
        }
        &mut self.pages[number].as_mut().expect("it was just made")[at % PAGE]
    }

    #[cold]
    fn make(&mut self, number: usize) {
        if number >= self.pages.len() {
            self.pages.resize_with(number + 1, || None);
        }
        self.pages[number] = Some(Box::new([self.fresh; PAGE]));
    }

    /// No number from here on was ever written to.
    pub fn end(&self) -> usize {
        self.pages.len() * PAGE
    }

    /// What lies on pages that were made, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flatten().flat_map(|page| page.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_written_and_is_fresh_elsewhere() {
        let mut pages = Pages::new(7);
        assert_eq!((pages.get(0), pages.get(1 << 40), pages.end()), (7, 7, 0));
        let written = [0, 1, PAGE - 1, PAGE, 5 * PAGE + 3];
        for at in written {
            *pages.at(at) += at;
        }
        for at in 0..8 * PAGE {
            assert_eq!(pages.get(at), if written.contains(&at) { 7 + at } else { 7 });
        }
        assert_eq!(pages.end(), 6 * PAGE);
        assert_eq!(pages.iter().sum::<usize>(), 3 * PAGE * 7 + written.iter().sum::<usize>());
    }

    #[test]
    fn makes_no_page_that_nobody_writes_to() {
        let mut pages = Pages::new(0u64);
        *pages.at(1_000 * PAGE) = 1;
        *pages.at(3) = 1;
        assert_eq!(pages.pages.iter().flatten().count(), 2);
        assert_eq!(pages.iter().count(), 2 * PAGE);
    }
}
