//! The uses of an account, which decide the place that a lock takes there.

use crate::LockName;

/// The use that the holder of a lock makes of its account and its terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AccountUse {
    /// It trades, or guards as a watchdog. Whatever is not a watchdog trades.
    #[default]
    Trades,
    /// It only reads, beside whoever trades.
    Shares,
    /// It trades on paper: beside the program that trades, and beside no other one on paper.
    Paper,
}

impl AccountUse {
    /// Returns the places that a lock called `name` takes. A name that is neither a brain's nor a
    /// watchdog's has, besides the brain's place, the one that versions before places knew it by.
    pub(crate) fn places(self, name: &LockName) -> Vec<String> {
        let role = name.role();
        let place = if role == WATCHDOG { WATCHDOG } else { BRAIN };
        match self {
            Self::Trades if role == place => vec![role],
            Self::Trades => vec![BRAIN.to_owned(), role],
            Self::Shares => vec![format!("{}{SHARED}", name.key())],
            Self::Paper => vec![format!("{place}{PAPER}")],
        }
    }

    /// Returns how the holder of `places` uses its account; `None` if it has no place there.
    pub(crate) fn of<'a>(places: impl Iterator<Item = &'a str>) -> Option<Self> {
        let uses = places.map(|place| match place {
            BRAIN | WATCHDOG => Self::Trades,
            _ if place.ends_with(PAPER) => Self::Paper,
            _ if place.ends_with(SHARED) => Self::Shares,
            _ => Self::Trades,
        });
        uses.min_by_key(|one| *one != Self::Trades)
    }
}

/// Returns what to write where one of the programs called `names`, two of which ask for the place of whoever
/// trades, only reads; `None` if all of them are brains by their names.
pub fn sharing_hint<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let role = |name: &str| name.parse().map(|name: LockName| name.role());
    let others = names.into_iter().filter(|name| role(name).is_ok_and(|role| role != BRAIN));
    let others: Vec<&str> = others.collect();
    (!others.is_empty()).then(|| {
        format!(
            "whatever is not a watchdog counts as trading; if {} only reads, start it with \
             `--shared-account`, `\"shared_account\": true` in the config, or `shared_account=True` in \
             process_lock.py",
            others.join(" or ")
        )
    })
}

const BRAIN: &str = "brain";
const WATCHDOG: &str = "watchdog";
/// A suffix that no name has.
const PAPER: &str = "@paper";
const SHARED: &str = "@shared";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_a_watchdog_trades() {
        use AccountUse::{Paper, Shares, Trades};
        for (name, used, places) in [
            ("BRAIN_ATLAS", Trades, &["brain"][..]),
            ("BRAIN", Trades, &["brain"]),
            ("Watchdog_Atlas", Trades, &["watchdog"]),
            ("BRAIN-Y", Trades, &["brain", "brain-y"]),
            ("TRADER_Y", Trades, &["brain", "trader_y"]),
            ("NEWS", Shares, &["news@shared"]),
            ("BRAIN", Shares, &["brain@shared"]),
            ("BRAIN_ATLAS", Paper, &["brain@paper"]),
            ("TRADER_Y", Paper, &["brain@paper"]),
            ("WATCHDOG_ATLAS", Paper, &["watchdog@paper"]),
        ] {
            let name = name.parse().unwrap();
            assert_eq!(used.places(&name), places, "{name} {used:?}");
            assert_eq!(AccountUse::of(places.iter().copied()), Some(used), "{name} {used:?}");
        }
        assert_eq!(AccountUse::of(std::iter::empty()), None);
    }
}
