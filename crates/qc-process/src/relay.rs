//! Standing in for a child.

use std::io;

use crate::{Child, Ended, Identity, Process, imp};

/// For a program that has nothing to do but to wait for one child: hears requests to stop, and
/// passes them on to the child, which decides when it ends.
#[derive(Debug)]
pub struct Relay(imp::Relay);

impl Relay {
    /// From here on a request to stop does not end this program. What was ignored when the program
    /// started (`nohup`) stays ignored.
    ///
    /// # Errors
    /// If the system refuses the handlers, or [`crate::on_interrupt`] has set its own.
    pub fn start() -> io::Result<Self> {
        Ok(Self(imp::Relay::start()?))
    }

    /// Waits until `child` ends, on Windows also what it has launched by the rules of
    /// [`crate::Spawn::chain`]. `passed_on` is told of the process that does the work when the child has
    /// ended without it. Requests that came before are passed on, too.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub fn wait(
        &mut self,
        child: &mut Child,
        passed_on: impl FnMut(&Identity),
    ) -> io::Result<Ended> {
        self.0.wait(child, passed_on)
    }

    /// Waits until another process ends that does the work of a child that has ended. Requests are
    /// passed on to it.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub fn wait_for(&mut self, process: &Process) -> io::Result<()> {
        self.0.wait_for(process)
    }
}
