//! Nothing to import: the promises of the whole system are in `promises/`, one file per promise.
