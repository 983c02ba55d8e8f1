//! The `coreperf` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    coreperf::run_program()
}
