//! Bytes that arrive in pieces, as text.

use std::io::{self, Write};

/// Output of a program, as text: a terminal takes nothing else.
#[derive(Debug)]
pub struct Utf8 {
    bytes: Vec<u8>,
}

impl Utf8 {
    /// The output so far.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Adds what came since.
    pub fn add(&mut self, more: &[u8]) {
        self.bytes.extend(more);
    }

    /// Writes what there is, except for a character of which the rest is still to come.
    ///
    /// # Errors
    /// Whatever the output reports.
    pub fn write_to(&mut self, output: &mut dyn Write) -> io::Result<()> {
        let unfinished = match str::from_utf8(last_character(&self.bytes)) {
            Err(error) if error.error_len().is_none() => last_character(&self.bytes).len(),
            Ok(_) | Err(_) => 0,
        };
        let rest = self.bytes.split_off(self.bytes.len() - unfinished);
        let bytes = std::mem::replace(&mut self.bytes, rest);
        output.write_all(String::from_utf8_lossy(&bytes).as_bytes())?;
        output.flush()
    }

    /// Writes the rest, which will not go on.
    ///
    /// # Errors
    /// Whatever the output reports.
    pub fn finish(self, output: &mut dyn Write) -> io::Result<()> {
        output.write_all(String::from_utf8_lossy(&self.bytes).as_bytes())
    }
}

/// Returns the bytes from the last one on that can begin a character.
fn last_character(bytes: &[u8]) -> &[u8] {
    let from = bytes.iter().rposition(|byte| byte & 0b1100_0000 != 0b1000_0000).unwrap_or(0);
    &bytes[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_in_two_pieces_is_shown_whole() {
        let mut output = Vec::new();
        let euro = "€".as_bytes();
        let mut text = Utf8::new([b"a", &euro[..2]].concat());
        text.write_to(&mut output).unwrap();
        assert_eq!(output, b"a");
        text.add(&euro[2..]);
        text.add(b"b\xffc");
        text.write_to(&mut output).unwrap();
        assert_eq!(String::from_utf8_lossy(&output), "a€b\u{fffd}c");
        text.add(&euro[..1]);
        text.write_to(&mut output).unwrap();
        text.finish(&mut output).unwrap();
        assert_eq!(String::from_utf8_lossy(&output), "a€b\u{fffd}c\u{fffd}");
    }
}
