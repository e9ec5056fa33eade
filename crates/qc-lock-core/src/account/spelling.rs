//! The one spelling of an account: how people, spreadsheets and web pages write a number.

use super::AccountError;

/// Whether a character has no width: joiners, marks of the direction of writing, byte order marks.
/// They come along when a number is copied from a web page or a chat.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Returns the ASCII character that a full-width one, or a decimal digit of any writing, stands for.
pub(super) fn to_ascii(c: char) -> char {
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
pub(super) fn without_quotes(text: &str) -> &str {
    let mut text = text;
    for (open, close) in QUOTES {
        text = text.strip_prefix(open).and_then(|it| it.strip_suffix(close)).unwrap_or(text).trim();
    }
    text.strip_prefix('+').filter(|it| it.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(text)
}

/// Returns a number without leading zeros and without a fraction of zeros, as a number that went
/// through a float has it; anything else that is no number in another form as it is.
pub(super) fn canonical_number(text: &str) -> Result<&str, AccountError> {
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

fn is_separator(c: char) -> bool {
    // A tab or a line break is no separator, and not printable.
    matches!(c, ',' | '_') || (c.is_whitespace() && !c.is_control())
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
