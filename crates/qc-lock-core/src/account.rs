//! Accounts, and the one spelling of each.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

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

/// Whether a character has no width: joiners, marks of the direction of writing, byte order marks.
/// They come along when a number is copied from a web page or a chat.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Returns the ASCII character that a full-width one, or a decimal digit of any writing, stands for.
fn to_ascii(c: char) -> char {
    let code = u32::from(c);
    let plain = if matches!(c, '\u{ff01}'..='\u{ff5e}') {
        code - 0xff01 + u32::from('!')
    } else {
        // Digits follow their zero.
        let zero = ZEROS[..ZEROS.partition_point(|&zero| zero <= code)].last();
        match zero.map(|zero| code - zero) {
            Some(digit @ 0..=9) => u32::from('0') + digit,
            _ => return c,
        }
    };
    char::from_u32(plain).unwrap_or(c)
}

/// The zeros of all decimal digits of Unicode 17, in order. `process_lock.py` has the same.
const ZEROS: [u32; 75] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
    0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0,
    0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0, 0x11c50, 0x11d50,
    0x11da0, 0x11de0, 0x11f50, 0x16a60, 0x16ac0, 0x16b50, 0x1ccf0, 0x1d7ce, 0x1d7d8, 0x1d7e2,
    0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950, 0x1fbf0,
];

/// The quotes that are written around a text.
const QUOTES: [(char, char); 6] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('\u{201c}', '\u{201d}'),
    ('\u{2018}', '\u{2019}'),
    ('\u{ab}', '\u{bb}'),
];

/// Returns a text without the quotes around it, which `cmd.exe` and copies from scripts leave in place,
/// and without a plus sign before digits.
fn without_quotes(text: &str) -> &str {
    let mut text = text;
    for (open, close) in QUOTES {
        text = text.strip_prefix(open).and_then(|it| it.strip_suffix(close)).unwrap_or(text).trim();
    }
    text.strip_prefix('+').filter(|it| it.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(text)
}

/// Returns a number without leading zeros and without a fraction of zeros, as a number that went
/// through a float has it; anything else that is no number in another form as it is.
fn canonical_number(text: &str) -> Result<&str, AccountError> {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if is_digits(whole) && is_digits(fraction) => {
            if fraction.bytes().any(|digit| digit != b'0') {
                return Err(AccountError::Fraction(text.to_owned()));
            }
            whole
        }
        _ => text,
    };
    let whole = whole.strip_suffix('.').filter(|it| is_digits(it)).unwrap_or(whole);
    if !is_digits(whole) {
        return if is_separated(text) {
            Err(AccountError::Separated(text.to_owned()))
        } else if has_exponent(text) {
            Err(AccountError::Exponent(text.to_owned()))
        } else if has_symbol(text) {
            Err(AccountError::Symbol(text.to_owned()))
        } else {
            Ok(whole)
        };
    }
    let stripped = whole.trim_start_matches('0');
    Ok(if stripped.is_empty() { "0" } else { stripped })
}

/// Whether a text is a number with something between its digits that is there for the eye.
fn is_separated(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    whole.starts_with(|c: char| c.is_ascii_digit())
        && whole.chars().all(|c| c.is_ascii_digit() || is_separator(c))
        && whole.contains(is_separator)
        && fraction.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a number has a sign, a quote or the like before or behind it. Between its digits some brokers
/// write `-`, and a text with a letter is a name.
fn has_symbol(text: &str) -> bool {
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    text.chars().all(|c| matches!(c, ' '..='~'))
        && text.contains(|c: char| c.is_ascii_digit())
        && !text.contains(|c: char| c.is_ascii_alphabetic())
        && !(is_digit(text.chars().next()) && is_digit(text.chars().last()))
}

fn is_missing(text: &str) -> bool {
    MISSING.contains(&text.to_ascii_lowercase().as_str())
}

fn is_separator(c: char) -> bool {
    // A tab or a line break is no separator, and not printable.
    matches!(c, ',' | '_') || (c.is_whitespace() && !c.is_control())
}

/// Returns the digits of a number before its fraction.
fn digits_of(text: &str) -> String {
    let whole = text.split('.').next().unwrap_or_default();
    whole.chars().filter(char::is_ascii_digit).collect()
}

/// Whether a text is a number such as `1.2e14`.
fn has_exponent(text: &str) -> bool {
    let Some((number, exponent)) = text.split_once(['e', 'E']) else { return false };
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_number =
        is_digits(whole) && is_digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    is_number && is_digits(exponent) && !exponent.is_empty()
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
