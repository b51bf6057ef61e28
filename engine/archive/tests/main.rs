//! What is promised of the archive, a module for each noun. One program: what all of them need is compiled and linked once.

mod archive;
mod history;
mod keeping;
mod retelling;
mod trail;
