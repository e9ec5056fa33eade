//! Account numbers as they may be shown to others: only the last three digits.

use std::collections::HashSet;

/// How many digits of an account stay.
const SHOWN: usize = 3;

/// Numbers of this many digits count as accounts without being declared so.
const ACCOUNT_DIGITS: usize = 5;

/// Masks account numbers in texts, each one always in the same way.
#[derive(Debug, Clone, Default)]
pub struct Mask {
    accounts: HashSet<String>,
}

impl Mask {
    /// Masks these accounts wherever they stand.
    pub fn new(accounts: impl IntoIterator<Item = String>) -> Self {
        Self { accounts: accounts.into_iter().map(|one| one.to_lowercase()).collect() }
    }

    /// Returns an account with all but its last three characters hidden.
    pub fn account(&self, account: &str) -> String {
        let hidden = account.chars().count().saturating_sub(SHOWN);
        account.chars().enumerate().map(|(at, c)| if at < hidden { '*' } else { c }).collect()
    }

    /// Masks the known accounts in a text.
    pub fn text(&self, text: &str) -> String {
        self.words(text, |word| self.accounts.contains(&word.to_lowercase()))
    }

    /// Masks the known accounts in a command line or a path, and every number that may be one.
    pub fn command(&self, text: &str) -> String {
        let is_number =
            |word: &str| word.len() >= ACCOUNT_DIGITS && word.bytes().all(|c| c.is_ascii_digit());
        self.words(text, |word| self.accounts.contains(&word.to_lowercase()) || is_number(word))
    }

    /// Masks the words that are accounts: a number stands alone, and so does it beside letters,
    /// as in `login1234567`.
    fn words(&self, text: &str, is_account: impl Fn(&str) -> bool) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let whole = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
            let kind = first.is_ascii_digit();
            let run = rest[..whole].find(|c: char| c.is_ascii_digit() != kind).unwrap_or(whole);
            let length = if whole == 0 {
                first.len_utf8()
            } else if is_account(&rest[..whole]) {
                whole
            } else {
                run
            };
            let (word, after) = rest.split_at(length);
            if is_account(word) {
                shown.push_str(&self.account(word));
            } else {
                shown.push_str(word);
            }
            rest = after;
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_masked_wherever_they_stand() {
        let mask = Mask::new(["1234567".to_owned(), "X77AB".to_owned()]);
        for (text, expected) in [
            (
                "BRAIN_A runs 2 times (account 1234567): PIDs 10, 11",
                "BRAIN_A runs 2 times (account ****567): PIDs 10, 11",
            ),
            ("WATCHDOG_1234567", "WATCHDOG_****567"),
            ("login1234567x", "login****567x"),
            ("12345678 and 7654321", "12345678 and 7654321"),
            ("x77ab", "**7ab"),
            ("", ""),
            ("é1234567é", "é****567é"),
        ] {
            assert_eq!(mask.text(text), expected);
        }
        assert_eq!(mask.account("12"), "12");
        assert_eq!(
            mask.command("a.py --login 7654321 --port 8000"),
            "a.py --login ****321 --port 8000"
        );
    }

    proptest::proptest! {
        #[test]
        fn no_account_is_shown(number in 10_000_u64.., before in "[a-z ,:/=-]{0,5}", after in "[a-z ,:/=-]{0,5}") {
            let text = format!("{before}{number}{after}");
            let masked = Mask::new([number.to_string()]).text(&text);
            proptest::prop_assert!(!masked.contains(&number.to_string()), "{masked}");
        }
    }
}
