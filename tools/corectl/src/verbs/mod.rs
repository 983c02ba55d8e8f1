//! The verbs of the command line: options, what is printed, the exit status.

pub(crate) mod admin;
pub(crate) mod pki;
pub(crate) mod release;
pub(crate) mod status;
pub(crate) mod top;
pub(crate) mod tune;
