//! Galleries on disk: what they hold, what they refuse, and that nothing is lost.

mod faults;
mod holds;
mod made;
mod refused;
