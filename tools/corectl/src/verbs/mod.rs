//! The verbs of the command line: options, what is printed, the exit status.

pub(crate) mod tune;
