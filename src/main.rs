//! The program: the house as it comes, opened and looked after from the command line.

use std::process::ExitCode;

use playhouse::Playhouse;

fn main() -> ExitCode {
    Playhouse::builder().command_line()
}
