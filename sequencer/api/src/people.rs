//! Numbers for people: exact decimals in, exact decimals out. The wire and the engine only know whole numbers.

use core::fmt;
use core::str::FromStr;

/// Digits after the point at which a number without an end ("0.333…") is cut off.
const DIGITS_MAX: u32 = 18;

/// `numerator / denominator` as a decimal without trailing zeros; cut off (towards zero) after 18 digits.
#[must_use]
pub fn ratio(numerator: u128, denominator: u128) -> String {
    if denominator == 0 {
        return "0".into();
    }
    let mut text = (numerator / denominator).to_string();
    let mut rest = numerator % denominator;
    if rest != 0 {
        text.push('.');
    }
    for _ in 0..DIGITS_MAX {
        if rest == 0 {
            break;
        }
        let Some(shifted) = rest.checked_mul(10) else { break };
        text.push_str(&(shifted / denominator).to_string());
        rest = shifted % denominator;
    }
    text
}

/// Atoms of a token with that many decimals, as whole tokens.
#[must_use]
pub fn tokens(atoms: i128, decimals: u8) -> String {
    let sign = if atoms < 0 { "-" } else { "" };
    let one = 10_u128.checked_pow(decimals.into()).unwrap_or(u128::MAX);
    format!("{sign}{}", ratio(atoms.unsigned_abs(), one))
}

/// A number that a person typed, at least zero, exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    digits: u128,
    scale: u32,
}

/// Why a text is no [`Decimal`], or none that fits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not a number.
    #[error("`{text}` is not a number; expected digits with at most one point, like 12 or 0.450")]
    NotANumber {
        /// What was typed.
        text: String,
    },
    /// A number that falls between two units.
    #[error("`{number}` is no whole number of units; the nearest are {below} and {above}")]
    BetweenUnits {
        /// What was typed.
        number: Decimal,
        /// Units just below.
        below: u128,
        /// Units just above.
        above: u128,
    },
    /// Too large to calculate with.
    #[error("`{number}` is too large")]
    TooLarge {
        /// What was typed.
        number: Decimal,
    },
}

impl Decimal {
    /// `self · numerator / denominator`, which must come out whole: 0.45 with 1000 ticks to 1 is 450 ticks.
    ///
    /// # Errors
    /// [`DecimalError::BetweenUnits`] with the nearest whole numbers, or [`DecimalError::TooLarge`].
    pub fn in_units(self, numerator: u128, denominator: u128) -> Result<u128, DecimalError> {
        let too_large = DecimalError::TooLarge { number: self };
        let one = 10_u128.checked_pow(self.scale).and_then(|one| one.checked_mul(denominator));
        let (Some(value), Some(one)) = (self.digits.checked_mul(numerator), one) else { return Err(too_large) };
        let (Some(below), Some(rest)) = (value.checked_div(one), value.checked_rem(one)) else {
            return Err(too_large);
        };
        match rest {
            0 => Ok(below),
            _ => Err(DecimalError::BetweenUnits { number: self, below, above: below + 1 }),
        }
    }

    /// Whole tokens as atoms.
    ///
    /// # Errors
    /// As [`Self::in_units`].
    pub fn atoms(self, decimals: u8) -> Result<u128, DecimalError> {
        let one = 10_u128.checked_pow(decimals.into()).ok_or(DecimalError::TooLarge { number: self })?;
        self.in_units(one, 1)
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let refuse = || DecimalError::NotANumber { text: text.into() };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let fraction = fraction.trim_end_matches('0');
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || text.ends_with('.') {
            return Err(refuse());
        }
        let digits = format!("{whole}{fraction}").parse().map_err(|_| refuse())?;
        let scale = u32::try_from(fraction.len()).map_err(|_| refuse())?;
        Ok(Self { digits, scale })
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match 10_u128.checked_pow(self.scale) {
            Some(one) => f.write_str(&ratio(self.digits, one)),
            None => write!(f, "{}e-{}", self.digits, self.scale),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_exact_and_short() {
        assert_eq!(ratio(450, 1000), "0.45");
        assert_eq!(ratio(1, 1000), "0.001");
        assert_eq!(ratio(7, 1), "7");
        assert_eq!(ratio(0, 1000), "0");
        assert_eq!(ratio(1, 3), "0.333333333333333333");
        assert_eq!(ratio(1, 0), "0");
        assert_eq!(tokens(-1_500_000, 6), "-1.5");
        assert_eq!(tokens(i128::MIN, 0), "-170141183460469231731687303715884105728");
    }

    #[test]
    fn typed_numbers_become_whole_units_or_name_the_nearest() {
        let price = |text: &str| text.parse::<Decimal>().and_then(|price| price.in_units(1000, 1));
        assert_eq!(price("0.450"), Ok(450));
        assert_eq!(price("1"), Ok(1000));
        let refused = price("0.4505").unwrap_err();
        assert!(matches!(refused, DecimalError::BetweenUnits { below: 450, above: 451, .. }));
        assert_eq!(refused.to_string(), "`0.4505` is no whole number of units; the nearest are 450 and 451");
        assert_eq!("12.5".parse::<Decimal>().unwrap().atoms(6), Ok(12_500_000));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", ".", "1.", ".5", "-1", "1e3", "0x10", "1 000", "1.2.3", "٣", &"9".repeat(60)] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
        let long: Decimal = format!("0.{}1", "0".repeat(37)).parse().unwrap();
        assert!(matches!(long.in_units(u128::MAX, 1), Err(DecimalError::BetweenUnits { below: 3, above: 4, .. })));
        assert!("1".parse::<Decimal>().unwrap().in_units(1, 0).is_err());
    }
}
