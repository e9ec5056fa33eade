//! Many at once: work that the system does, shared among the processors.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many parts are worth a thread.
const WORTH_A_THREAD: usize = 2;

/// Lets every processor do `work` on one part of `items` after the other, each of `size` items at
/// most; returns what came of the parts, in their order. Few parts are done by this thread alone.
///
/// # Panics
/// If `work` does, or `size` is zero.
pub fn par_chunks<T: Sync, R: Send>(
    items: &[T],
    size: usize,
    work: impl Fn(&[T]) -> R + Sync,
) -> Vec<R> {
    let parts: Vec<&[T]> = items.chunks(size).collect();
    let next = AtomicUsize::new(0);
    let take_parts = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = parts.get(number) else { return done };
            done.push((number, work(part)));
        }
    };
    let helpers = match parts.len() / WORTH_A_THREAD {
        0 | 1 => 0,
        most => processors().min(most) - 1,
    };
    let mut done = thread::scope(|scope| {
        let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(take_parts)).collect();
        let mut done = take_parts();
        for helper in helpers {
            done.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Asked once, and only where it matters: the system reads files for it.
fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, NonZero::get))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::{Barrier, Mutex};

    use super::*;

    const PART: usize = 64;

    #[test]
    fn nothing_is_lost_and_nothing_done_twice() {
        for count in [0, 1, PART, 10 * PART - 1, 10 * PART, 5000] {
            let items: Vec<usize> = (0..count).collect();
            let threads = Mutex::new(HashSet::new());
            let parts = par_chunks(&items, PART, |part| {
                threads.lock().unwrap().insert(thread::current().id());
                part.to_vec()
            });
            assert_eq!(parts.concat(), items);
            assert!(count > PART || threads.lock().unwrap().len() <= 1);
        }
    }

    #[test]
    fn two_parts_are_done_at_one_time() {
        if thread::available_parallelism().unwrap().get() < 2 {
            eprintln!("NOT TESTED: there is one processor");
            return;
        }
        // Each of these waits until there is another one.
        let both = Barrier::new(2);
        let items = vec![(); PART * 8];
        assert_eq!(par_chunks(&items, PART, |_| both.wait().is_leader()).len(), 8);
    }
}
