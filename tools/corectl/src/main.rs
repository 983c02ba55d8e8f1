//! `corectl`: the operator's program on a host.
//!
//! **Not**: a service, and no part of one.
//!
//! **Exit status**: 0, it is so or was done. 1, it is not so: drift, a setting that does not hold, a change that was refused and taken
//! back. 2, it could not be done: options, files, another corectl at work. 3, a change waits to be confirmed.

use std::process::ExitCode;

fn main() -> ExitCode {
    corectl::command::run_program()
}
