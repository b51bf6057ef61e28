//! What is promised of the venue, a module for each noun. One program: what all of them need is compiled and linked once.

mod amendments;
mod answers;
mod auction;
mod commands;
mod desk;
mod flow;
mod invariants;
mod known_faults;
mod known_faults_flash1;
mod limits;
mod metamorphic;
mod oracle;
mod orders;
mod pieces;
mod plain;
mod replay;
mod rules;
mod sessions;
mod standing;
