//! Numbers of what was answered: [`per_episode`], of a ranking ([`ranking`]), of accepted and rejected probes ([`roc`]),
//! and of the embeddings themselves ([`scatter`]).

pub mod per_episode;
pub mod ranking;
pub mod roc;
pub mod scatter;
