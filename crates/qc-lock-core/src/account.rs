//! Accounts, and the one spelling of each.

mod spelling;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use self::spelling::{canonical_number, is_invisible, to_ascii, without_quotes};

/// An account: a number, or the name that a broker or a simulator gives it, such as `DU880015639`.
///
/// Different spellings of one account are equal: `00123`, `123.0`, full-width digits, and copies
/// with invisible characters all are `123`, and the case of letters does not matter.
#[derive(Debug, Clone)]
pub struct Account(String);

/// The reason why a text is no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The text stands for a missing value.
    #[error("`{0}` is not an account")]
    Missing(String),
    /// A number with a fraction.
    #[error("`{0}` is not an account: an account number has no fraction")]
    Fraction(String),
    /// Digits with blanks, commas or `_` between them.
    #[error("`{0}` is not an account: write the number in digits alone, `{digits}`", digits = digits_of(.0))]
    Separated(String),
    /// A number with an exponent, as a spreadsheet writes a long one.
    #[error("`{0}` is not an account: write the number in full, without an exponent")]
    Exponent(String),
    /// A number with a sign, a quote or the like before or behind it.
    #[error("`{0}` is not an account: a number begins and ends with a digit")]
    Symbol(String),
    /// Nothing behind `@`, or a missing value.
    #[error("`{0}` is not an account: behind `@` stands the broker, as in `123@BROKER`")]
    Broker(String),
    /// The text is too long or not printable.
    #[error("an account has 1 to 64 printable characters")]
    Form,
}

/// The texts, in lower case, by which programs write a missing value.
const MISSING: [&str; 6] = ["", "0", "none", "null", "nan", "<na>"];

impl Account {
    /// Reads an account; `None` if the text stands for a missing one: empty, `0`, `None`, `null` or
    /// `nan`. Whoever gets that warns, and takes no lock on an account.
    ///
    /// ```
    /// use qc_lock_core::Account;
    ///
    /// let account = Account::parse("001234567.0").unwrap().unwrap();
    /// assert_eq!(account.as_str(), "1234567");
    /// assert_eq!(Account::parse("nan"), Ok(None));
    /// ```
    ///
    /// # Errors
    /// An [`AccountError`] other than [`AccountError::Missing`].
    pub fn parse(text: &str) -> Result<Option<Self>, AccountError> {
        let plain: String = text.chars().filter(|&c| !is_invisible(c)).map(to_ascii).collect();
        let whole = without_quotes(plain.trim());
        let (number, broker) = match whole.split_once('@') {
            Some((number, broker)) => (number.trim(), Some(broker.trim())),
            None => (whole, None),
        };
        let number = canonical_number(number)?;
        if is_missing(number) {
            return Ok(None);
        }
        let spelled = match broker {
            Some(broker) if is_missing(broker) => {
                return Err(AccountError::Broker(whole.to_owned()));
            }
            Some(broker) => format!("{number}@{broker}"),
            None => number.to_owned(),
        };
        if spelled.chars().count() > 64 || spelled.chars().any(char::is_control) {
            return Err(AccountError::Form);
        }
        Ok(Some(Self(spelled)))
    }

    /// Returns the account in its canonical spelling, with letters in the case as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the form that tells accounts apart: the canonical spelling in lower case.
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

impl PartialEq for Account {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Account {}

impl Hash for Account {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl FromStr for Account {
    type Err = AccountError;

    fn from_str(text: &str) -> Result<Self, AccountError> {
        Self::parse(text)?.ok_or_else(|| AccountError::Missing(text.trim().to_owned()))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether two texts name one account, however each is spelled.
///
/// ```
/// use qc_lock_core::same_account;
///
/// assert!(same_account("0123.0", "123") && same_account("du88", "DU88"));
/// assert!(!same_account("nan", "None"));
/// ```
pub fn same_account(one: &str, other: &str) -> bool {
    let account = |text| Account::parse(text).ok().flatten();
    account(one).is_some_and(|one| Some(one) == account(other))
}

fn is_missing(text: &str) -> bool {
    MISSING.contains(&text.to_ascii_lowercase().as_str())
}

/// Returns the digits of a number before its fraction.
fn digits_of(text: &str) -> String {
    let whole = text.split('.').next().unwrap_or_default();
    whole.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The same vectors that `process_lock.py` is tested with.
    const VECTORS: &str = include_str!("account/vectors.json");

    #[test]
    fn each_account_has_one_spelling() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        for one in vectors.as_array().unwrap() {
            let text = one["text"].as_str().unwrap();
            let expected = match one["is"].as_str() {
                Some("account") => Ok(one["account"].as_str().map(str::to_owned)),
                Some("missing") => Ok(None),
                _ => Err(()),
            };
            let read = Account::parse(text);
            let read = read.map(|it| it.map(|it| it.as_str().to_owned())).map_err(drop);
            assert_eq!(read, expected, "{text:?}");
        }
    }

    #[test]
    fn accounts_that_differ_in_case_are_equal() {
        let one: Account = "DU880015639".parse().unwrap();
        assert_eq!(one, "du880015639".parse().unwrap());
        assert_eq!(one.as_str(), "DU880015639");
    }

    proptest::proptest! {
        #[test]
        fn a_canonical_spelling_is_its_own(text: String) {
            if let Ok(Some(account)) = Account::parse(&text) {
                proptest::prop_assert_eq!(Account::parse(account.as_str()), Ok(Some(account)));
            }
        }
    }
}
