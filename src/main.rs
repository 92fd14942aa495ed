//! Starts the program: reads the command line, opens the house, waits for the stop signal.

use std::process::ExitCode;

fn main() -> ExitCode {
    packhouse::run::main()
}
