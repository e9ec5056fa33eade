//! How a user names components and accounts, the same for all tools.

use qc_lock_core::same_account;

/// Whether `wanted` names the component: in any case, with `*` for any text, so that `BRAIN_*` names
/// all that begin so.
pub fn is_named(wanted: &str, name: &str) -> bool {
    fn fits(wanted: &[u8], name: &[u8]) -> bool {
        match wanted {
            [] => name.is_empty(),
            [b'*', rest @ ..] => (0..=name.len()).any(|skipped| fits(rest, &name[skipped..])),
            [first, rest @ ..] => {
                name.split_first().is_some_and(|(it, name)| it == first && fits(rest, name))
            }
        }
    }
    // Several in a row say no more than one, and would take long.
    let mut wanted = wanted.to_ascii_lowercase().into_bytes();
    wanted.dedup_by(|one, before| (*one, *before) == (b'*', b'*'));
    fits(&wanted, name.to_ascii_lowercase().as_bytes())
}

/// Whether `wanted` names the account with this key in ACCOUNTS or this number.
pub fn is_account(wanted: &str, key: Option<&str>, number: Option<&str>) -> bool {
    key.is_some_and(|key| key.eq_ignore_ascii_case(wanted))
        || number.is_some_and(|number| same_account(number, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (wanted, name, expected) in [
            ("BRAIN_ATLAS", "BRAIN_ATLAS", true),
            ("brain_atlas", "BRAIN_ATLAS", true),
            ("BRAIN_", "BRAIN_ATLAS", false),
            ("BRAIN_*", "BRAIN_ATLAS", true),
            ("BRAIN_*", "BRAIN_", true),
            ("BRAIN_*", "WATCHDOG_ATLAS", false),
            ("*_atlas", "WATCHDOG_ATLAS", true),
            ("*_ATLAS", "WATCHDOG_ATLAS2", false),
            ("B*N_**S", "BRAIN_ATLAS", true),
            ("*", "API", true),
            ("", "API", false),
        ] {
            assert_eq!(is_named(wanted, name), expected, "{wanted} {name}");
        }
    }

    #[test]
    fn an_account_is_found_by_its_key_or_by_any_spelling_of_its_number() {
        for (wanted, is_it) in [
            ("atlas", true),
            ("7", true),
            ("007", true),
            ("7.0", true),
            ("\u{ff17}", true),
            ("77", false),
            ("None", false),
            ("", false),
        ] {
            assert_eq!(is_account(wanted, Some("ATLAS"), Some("7")), is_it, "{wanted}");
        }
        // The key of an account is a name: its zeros count.
        assert!(is_account("01", Some("01"), None));
        assert!(!is_account("1", Some("01"), None));
    }
}
