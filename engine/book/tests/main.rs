//! What is promised of the book, a module for each noun. One program: what all of them need is compiled and linked once.

mod auction;
mod book;
mod oracle;
