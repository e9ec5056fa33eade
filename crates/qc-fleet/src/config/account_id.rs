//! The account as the config writes it: a number, a text, or a word for none.

use std::borrow::Cow;
use std::fmt;

use qc_lock_core::Account;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// From here on, a number that JSON writes with a fraction or an exponent may be read as another one:
/// `serde_json` reads 7694660188952905.0 one too high.
const EXACT: f64 = 1e12;

/// An account in its one spelling; `None` where the config writes none: `null`, 0, an empty text,
/// `None`, `nan`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountId(pub(crate) Option<Account>);

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrText)
    }
}

struct NumberOrText;

impl Visitor<'_> for NumberOrText {
    type Value = AccountId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an account: a number, or a text in quotes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<AccountId, E> {
        Account::parse(text).map(AccountId).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<AccountId, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<AccountId, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::custom(format!("{number} is not an account: it is less than 0"))),
        }
    }

    /// JSON writes `1e3`, `123.0` and whole numbers of more than 20 digits like this.
    fn visit_f64<E: Error>(self, number: f64) -> Result<AccountId, E> {
        if number.abs() >= EXACT {
            let message =
                "this number is too large to be read exactly: write the account in quotes";
            return Err(E::custom(message));
        }
        if number < 0.0 {
            return Err(E::custom(format!("{number} is not an account: it is less than 0")));
        }
        // `-0.0` is 0.
        self.visit_str(&format!("{}", number.abs()))
    }

    fn visit_unit<E: Error>(self) -> Result<AccountId, E> {
        Ok(AccountId(None))
    }
}

impl JsonSchema for AccountId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "AccountId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "title": "number or text", "type": ["number", "string", "null"], "minimum": 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Option<String>, String> {
        // As the config is read: as a value first.
        let value: serde_json::Value = serde_json::from_str(json).map_err(|it| it.to_string())?;
        let read: Result<AccountId, _> = serde_json::from_value(value);
        read.map(|it| it.0.map(|it| it.as_str().to_owned())).map_err(|it| it.to_string())
    }

    #[test]
    fn each_way_to_write_an_account_is_one_account() {
        for json in
            ["123", "123.0", "1.23e2", r#""123""#, r#"" 00123 ""#, r#""123.0""#, r#""１２３""#]
                .iter()
                .chain(&[r#""\u200b123""#, r#""\ufeff123""#])
        {
            assert_eq!(read(json), Ok(Some("123".into())), "{json}");
        }
        for (json, account) in [
            (r#""０１２３""#, "123"),
            ("1e3", "1000"),
            ("18446744073709551615", "18446744073709551615"),
            (r#""DU880015639""#, "DU880015639"),
            (r#""123456789012345678901234567890""#, "123456789012345678901234567890"),
        ] {
            assert_eq!(read(json), Ok(Some(account.into())), "{json}");
        }
    }

    #[test]
    fn words_for_nothing_are_no_account() {
        for json in
            ["null", "0", "-0", "0.0", "-0.0", "0e5", r#""""#, r#"" ""#, r#""0""#, r#""000""#]
                .iter()
                .chain(&[r#""None""#, r#""null""#, r#""NaN""#, r#""\u200b""#, r#""０""#])
        {
            assert_eq!(read(json), Ok(None), "{json}");
        }
    }

    #[test]
    fn values_that_can_be_no_account_are_refused() {
        for (json, message) in [
            ("-5", "-5 is not an account: it is less than 0"),
            ("-5.0", "-5 is not an account: it is less than 0"),
            ("123.5", "`123.5` is not an account: an account number has no fraction"),
            ("1e-3", "`0.001` is not an account: an account number has no fraction"),
            ("123456789012345678901234567890", "this number is too large to be read exactly"),
            ("1e300", "this number is too large to be read exactly"),
            ("true", "invalid type: boolean `true`, expected an account: a number, or a text"),
            ("[123]", "invalid type: sequence, expected an account"),
            (r#"{"account": 123}"#, "invalid type: map, expected an account"),
            (r#""12\u001b""#, "an account has 1 to 64 printable characters"),
        ] {
            let refused = read(json).expect_err(json);
            assert!(refused.starts_with(message), "{json}: {refused}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_number_and_its_digits_in_quotes_are_one_account(number: u64, zeros in 0..5_usize) {
            let text = format!("\"{}{number}\"", "0".repeat(zeros));
            proptest::prop_assert_eq!(read(&number.to_string()), read(&text));
        }

        #[test]
        fn a_number_that_went_through_a_float_is_the_same_account(number in 0..1_000_000_000_000_u64) {
            proptest::prop_assert_eq!(read(&format!("{number}.0")), read(&number.to_string()));
        }

        #[test]
        fn no_number_makes_reading_an_account_panic(number: f64) {
            let _ = NumberOrText.visit_f64::<serde_json::Error>(number);
        }
    }
}
