//! Lines of JSON over a stream.

use std::io::{self, BufRead, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Writes one line.
pub(crate) fn write(stream: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    stream.flush()
}

/// Reads one line of at most `limit` bytes; `None` at the end.
pub(crate) fn read<T: DeserializeOwned>(
    stream: &mut impl BufRead,
    limit: u64,
) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    stream.take(limit).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is cut off or too long"));
    }
    Ok(Some(serde_json::from_slice(&line)?))
}
