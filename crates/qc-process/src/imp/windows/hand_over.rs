//! Another program in this one's place: a child that is waited for.

use std::ffi::{OsStr, OsString};
use std::io;

use crate::{Ended, Relay, Spawn};

pub(crate) fn hand_over(program: &OsStr, args: &[OsString]) -> io::Result<Ended> {
    let mut relay = Relay::start()?;
    let mut child = Spawn::new(program, args.to_vec()).start(|_| Ok(()))?;
    relay.wait(&mut child, |_| ())
}
