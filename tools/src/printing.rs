//! Standard output, as every command of Cutter uses it.
//!
//! A reader who has gone (`| head`) has seen enough: that is no error, and nothing is said of it.
//! Whatever else keeps a text from being written, such as a full disk, is an error with its words.
//! Nothing here panics.

use std::io::{self, Write};
use std::process::ExitCode;

/// Why a text is not on standard output.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
pub struct PrintError(#[from] io::Error);

/// Writes all of a text, and does not leave a part of it in a buffer, where an error is lost.
pub fn print(text: &str) -> Result<(), PrintError> {
    print_to(&mut io::stdout().lock(), text)
}

fn print_to(out: &mut impl Write, text: &str) -> Result<(), PrintError> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// The words of the command line. Else the command has ended: with its help, its version, or why
/// the words make no sense.
pub fn arguments<T: clap::Parser>(command: &str) -> Result<T, ExitCode> {
    let refused = match T::try_parse() {
        Ok(arguments) => return Ok(arguments),
        Err(refused) => refused,
    };
    let written = refused.print().and_then(|()| io::stdout().flush());
    match written {
        Err(error) if !refused.use_stderr() && error.kind() != io::ErrorKind::BrokenPipe => {
            // Nobody is left to tell when standard error is closed, too.
            let _ = writeln!(io::stderr(), "{command}: {}", PrintError(error));
            Err(ExitCode::FAILURE)
        }
        _ => Err(u8::try_from(refused.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes some bytes, and then fails in one way.
    struct Narrow(usize, io::ErrorKind);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 { Err(self.1.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_has_gone_is_no_error_and_a_full_disk_is_one() {
        let print = |kind| print_to(&mut Narrow(3, kind), "six bytes");
        assert!(print(io::ErrorKind::BrokenPipe).is_ok());
        let error = print(io::ErrorKind::StorageFull).unwrap_err().to_string();
        assert!(error.starts_with("cannot write to standard output: "), "{error}");
    }
}
