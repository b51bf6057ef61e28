//! What is promised of the journal, a module for each noun. One program: what all of them need is compiled and linked once.

mod attic;
mod faults;
mod following;
mod journal;
mod leading;
mod power;
mod reading;
