//! Steps at which a test can make this program die or wait: each call to the system that the lock
//! protocol consists of is preceded by a [`point`].
//!
//! Only with the feature `fault`, which the tests switch on for the copies of the tools that they
//! drive. Without it a point is nothing, and there is no way to arm one; `cargo build --release`
//! builds without it. Between two points no file changes, so to die at each of them is to die
//! before and after each call.

/// Marks a step of what this program does to files and processes.
#[cfg(not(feature = "fault"))]
#[inline(always)]
pub fn point(_step: &str) {}

#[cfg(feature = "fault")]
pub use armed::{arm, arm_step, die, point};

#[cfg(feature = "fault")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use crate::imp;

    struct Armed {
        /// The only step that counts, if not all do.
        step: Option<String>,
        /// How many points are still to be passed; one that is reached at 1 is the one.
        left: AtomicU64,
        act: Box<dyn Fn(&str) + Send + Sync>,
    }

    static ARMED: OnceLock<Armed> = OnceLock::new();

    /// Calls `act` at point number `at`, counted from 1 on, with the name of its step. The first
    /// call counts, later ones do nothing.
    pub fn arm(at: u64, act: impl Fn(&str) + Send + Sync + 'static) {
        ARMED.get_or_init(|| Armed { step: None, left: AtomicU64::new(at), act: Box::new(act) });
    }

    /// Does the same at the first point of the step called `step`.
    pub fn arm_step(step: String, act: impl Fn(&str) + Send + Sync + 'static) {
        let (step, left) = (Some(step), AtomicU64::new(1));
        ARMED.get_or_init(|| Armed { step, left, act: Box::new(act) });
    }

    /// Marks a step of what this program does to files and processes.
    pub fn point(step: &str) {
        let Some(armed) = ARMED.get() else { return };
        if armed.step.as_ref().is_some_and(|wanted| wanted != step) {
            return;
        }
        let left = armed.left.try_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if left == Ok(1) {
            (armed.act)(step);
        }
    }

    /// Ends this program as `kill -9` or the task manager would: nothing is tidied up.
    pub fn die() -> ! {
        imp::die()
    }
}
