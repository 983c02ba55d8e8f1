//! Resumption.
