//! `playhouse password`: the hash of a password, for `web.password` and `web.admin_password`.

use std::io::{self, BufRead, IsTerminal};

use playhouse_actors::{MAX_PASSWORD, PasswordError, hash_password};

use crate::show;

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub enum NoHash {
    #[error("the two are not the same")]
    Different,
    #[error("standard input: one line, of UTF-8")]
    NoText,
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Reads a password, twice from a terminal, once from a pipe; prints its hash.
///
/// # Errors
/// An empty password, a terminal or pipe that can't be read.
pub fn run() -> Result<(), NoHash> {
    let password = match io::stdin().is_terminal() {
        true => asked()?,
        false => piped(io::stdin().lock())?,
    };
    Ok(show::print(hash_password(&password)?)?)
}

fn asked() -> Result<String, NoHash> {
    let password = rpassword::prompt_password("Password: ")?;
    match rpassword::prompt_password("The same again: ")? == password {
        true => Ok(password),
        false => Err(NoHash::Different),
    }
}

/// The first line, without its end.
fn piped(input: impl BufRead) -> Result<String, NoHash> {
    // One byte more than any line that is taken.
    let most = u64::try_from(MAX_PASSWORD).unwrap_or(u64::MAX) + 3;
    let mut line = Vec::new();
    input.take(most).read_until(b'\n', &mut line)?;
    let mut line = String::from_utf8(line).map_err(|_| NoHash::NoText)?;
    if line.ends_with('\n') {
        line.pop();
        if line.ends_with('\r') {
            line.pop();
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_gives_its_first_line() {
        for (input, password) in [
            (&b"open sesame\nmore\n"[..], "open sesame"),
            (b" with spaces \r\n", " with spaces "),
            (b"no end", "no end"),
            (b"", ""),
        ] {
            assert_eq!(piped(input).unwrap(), password);
        }
        assert!(matches!(piped(&b"\xff\n"[..]), Err(NoHash::NoText)));
        let long = "x".repeat(MAX_PASSWORD * 3);
        hash_password(&piped(long.as_bytes()).unwrap()).unwrap_err();
    }
}
