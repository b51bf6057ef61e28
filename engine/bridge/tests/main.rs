//! What is promised of the bridge, a module for each noun. One program: what all of them need is compiled and linked once.

mod frames;
mod inward;
mod line;
mod outward;
mod peer;
mod seeded;
mod session;
