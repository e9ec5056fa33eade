//! Random bytes, which no other process can guess.

use std::io;

use crate::imp;

/// Returns random bytes from the system.
///
/// # Errors
/// Whatever the system reports.
pub fn random_bytes<const COUNT: usize>() -> io::Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    imp::fill_random(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_never_repeat() {
        assert_ne!(random_bytes::<16>().unwrap(), random_bytes::<16>().unwrap());
        assert_ne!(random_bytes::<16>().unwrap(), [0; 16]);
    }
}
