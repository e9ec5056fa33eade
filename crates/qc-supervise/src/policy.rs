//! Whether a component that failed is started again, and when.

use std::collections::VecDeque;
use std::time::Duration;

use crate::random::Random;
use crate::{Cause, Exit, Reason, RestartDelay, RestartPolicy, RestartWhen};

/// The restarts of one component, as far as they count.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    /// When those within the window happened, where there is one.
    times: VecDeque<Duration>,
    /// When the last one happened.
    last: Option<Duration>,
    /// How many without a stable run between: what the back-off grows by.
    in_a_row: u32,
    /// All there ever were.
    total: u32,
}

/// The consequence of a component's failure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is started again at this time.
    Again(Duration),
    /// It ended, and that is fine.
    Finished(Exit),
    GiveUp(Reason),
}

impl Restarts {
    pub(crate) fn total(&self) -> u32 {
        self.total
    }

    /// Forgets what counts, after a stable run or a start by hand.
    pub(crate) fn forget(&mut self) {
        self.times.clear();
        self.last = None;
        self.in_a_row = 0;
    }

    /// Judges a failure at `now`; `ran` is how long it had been ready, which downtime is no part
    /// of.
    pub(crate) fn judge(
        &mut self,
        policy: &RestartPolicy,
        cause: Cause,
        ran: Option<Duration>,
        now: Duration,
        random: &mut Random,
    ) -> Verdict {
        if let Cause::Ended(Exit::Code(code)) = cause
            && policy.never_after.contains(&code)
        {
            return Verdict::GiveUp(Reason::NeverAfter(code));
        }
        match (policy.when, &cause) {
            (RestartWhen::OnFailure | RestartWhen::Never, Cause::Ended(exit))
                if exit.is_success() =>
            {
                return Verdict::Finished(*exit);
            }
            (RestartWhen::Never, _) => return Verdict::GiveUp(Reason::NoRestart(cause)),
            (RestartWhen::Always | RestartWhen::OnFailure, _) => {}
        }
        if ran.is_some_and(|ran| ran >= policy.stable_after) {
            self.forget();
        }
        let counted = match policy.window {
            None => self.in_a_row,
            Some(window) => {
                while self.times.front().is_some_and(|&time| time.saturating_add(window) <= now) {
                    self.times.pop_front();
                }
                u32::try_from(self.times.len()).unwrap_or(u32::MAX)
            }
        };
        if counted >= policy.max_restarts {
            return Verdict::GiveUp(Reason::TooOften(cause, counted));
        }
        let at = match policy.delay {
            RestartDelay::Cooldown(pause) => {
                self.last.map_or(now, |last| now.max(last.saturating_add(pause)))
            }
            RestartDelay::Backoff { initial, cap } => {
                let factor = 2_u32.saturating_pow(self.in_a_row);
                let bound = initial.checked_mul(factor).unwrap_or(cap).min(cap);
                now.saturating_add(random.up_to(bound))
            }
        };
        if policy.window.is_some() {
            self.times.push_back(at);
        }
        self.last = Some(at);
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.total = self.total.saturating_add(1);
        Verdict::Again(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn crash() -> Cause {
        Cause::Ended(Exit::Code(1))
    }

    /// Lets a component crash at these seconds, each time at once, and returns when it is started.
    fn starts(policy: &RestartPolicy, crashes: &[u64]) -> Vec<Option<u64>> {
        let mut restarts = Restarts::default();
        let mut random = Random::new(1);
        let mut judge = |at: &u64| match restarts.judge(
            policy,
            crash(),
            Some(seconds(1)),
            seconds(*at),
            &mut random,
        ) {
            Verdict::Again(at) => Some(at.as_secs()),
            Verdict::GiveUp(_) => None,
            Verdict::Finished(_) => panic!("a crash is no success"),
        };
        crashes.iter().map(&mut judge).collect()
    }

    #[test]
    fn without_configuration_the_first_restart_is_immediate_and_the_next_ones_wait() {
        let policy = RestartPolicy::default();
        let crashes = [100, 110, 165, 500, 700, 900];
        let expected = [Some(100), Some(160), Some(220), Some(500), Some(700), None];
        assert_eq!(starts(&policy, &crashes), expected);
    }

    #[test]
    fn a_window_forgets_what_is_long_ago() {
        let policy = RestartPolicy {
            delay: RestartDelay::Cooldown(Duration::ZERO),
            max_restarts: 2,
            window: Some(seconds(60)),
            ..RestartPolicy::default()
        };
        let expected = [Some(0), Some(10), Some(61), None, Some(71)];
        assert_eq!(starts(&policy, &[0, 10, 61, 62, 71]), expected);
    }

    #[test]
    fn back_off_doubles_up_to_its_cap_and_is_jittered() {
        let policy = RestartPolicy {
            delay: RestartDelay::Backoff { initial: seconds(1), cap: seconds(60) },
            max_restarts: u32::MAX,
            ..RestartPolicy::default()
        };
        let mut restarts = Restarts::default();
        let mut random = Random::new(7);
        let mut longest = Duration::ZERO;
        for round in 0..2000 {
            let verdict = restarts.judge(&policy, crash(), None, Duration::ZERO, &mut random);
            let Verdict::Again(wait) = verdict else { panic!("{verdict:?}") };
            let bound = seconds(2_u64.saturating_pow(round)).min(seconds(60));
            assert!(wait <= bound, "restart {round}: {wait:?}");
            longest = longest.max(wait);
        }
        assert!(longest > seconds(59), "{longest:?}");
    }

    #[test]
    fn only_a_stable_run_makes_restarts_forgotten() {
        let policy = RestartPolicy {
            delay: RestartDelay::Cooldown(Duration::ZERO),
            max_restarts: 1,
            ..RestartPolicy::default()
        };
        let mut restarts = Restarts::default();
        let mut random = Random::new(1);
        let mut judge = |ran, now| restarts.judge(&policy, crash(), ran, seconds(now), &mut random);
        assert_eq!(judge(Some(seconds(599)), 599), Verdict::Again(seconds(599)));
        assert_eq!(judge(Some(seconds(600)), 1199), Verdict::Again(seconds(1199)));
        // Hours go by, but it never ran.
        let reason = Reason::TooOften(crash(), 1);
        assert_eq!(judge(None, 20_000), Verdict::GiveUp(reason));
    }

    #[test]
    fn the_policy_and_the_exit_decide() {
        let code = |code| Cause::Ended(Exit::Code(code));
        let unknown = || Cause::Ended(Exit::Unknown);
        let hung = || Cause::Hung(seconds(9));
        let again = Verdict::Again(Duration::ZERO);
        let finished = Verdict::Finished(Exit::Code(0));
        let never = |cause| Verdict::GiveUp(Reason::NoRestart(cause));
        let held = || Verdict::GiveUp(Reason::NeverAfter(75));
        let cases = [
            (RestartWhen::Always, code(0), &again),
            (RestartWhen::Always, code(1), &again),
            (RestartWhen::Always, code(75), &held()),
            (RestartWhen::OnFailure, code(0), &finished),
            (RestartWhen::OnFailure, code(1), &again),
            (RestartWhen::OnFailure, unknown(), &again),
            (RestartWhen::OnFailure, hung(), &again),
            (RestartWhen::OnFailure, code(75), &held()),
            (RestartWhen::Never, code(0), &finished),
            (RestartWhen::Never, code(1), &never(code(1))),
            (RestartWhen::Never, hung(), &never(hung())),
        ];
        for (when, cause, expected) in cases {
            let policy = RestartPolicy { when, ..RestartPolicy::default() };
            let verdict = Restarts::default().judge(
                &policy,
                cause.clone(),
                None,
                Duration::ZERO,
                &mut Random::new(1),
            );
            assert_eq!(&verdict, expected, "{when:?} {cause:?}");
        }
    }
}
