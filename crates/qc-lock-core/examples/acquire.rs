//! Acquires and releases a lock repeatedly: `acquire DIR ROUNDS [ACCOUNT]` prints the nanoseconds of
//! one round.

use std::time::Instant;

use qc_lock_core::{LockDir, Request};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, dir, rounds, account @ ..] = &args[..] else {
        return Err("usage: acquire DIR ROUNDS [ACCOUNT]".into());
    };
    let rounds: u32 = rounds.parse()?;
    let locks = LockDir::new(dir);
    let mut request = Request::new("BENCH".parse()?);
    if let [account] = account {
        request = request.account(account.parse()?);
    }
    // The first one finds out who and where this process is.
    locks.acquire(&request)?.release()?;
    let began = Instant::now();
    for _ in 0..rounds {
        locks.acquire(&request)?.release()?;
    }
    println!("{}", began.elapsed().as_nanos() / u128::from(rounds.max(1)));
    Ok(())
}
