//! NumericDate, parsed from every form of a JSON number.

/// A NumericDate (RFC 7519 section 2), limited to the range of a `u64`. Dates outside the range saturate.
#[derive(Clone, Copy)]
pub(super) struct NumericDate {
    /// The date, rounded down to whole seconds.
    whole: u64,
    has_fraction: bool,
}

impl NumericDate {
    /// Parses a JSON number (RFC 8259 section 6). The result is exact, because no floating point is used. The time is linear in
    /// the length of the number.
    pub(super) fn read(number: &str) -> Self {
        if number.starts_with('-') {
            // For a date before 1970, zero gives the same verdict: `exp` has passed, and `nbf` and `iat` are in the past.
            return Self {
                whole: 0,
                has_fraction: false,
            };
        }
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let integer_digits = i64::try_from(integer.len()).unwrap_or(i64::MAX);
        // The number of digits before the decimal point, after it has been moved by the exponent.
        let mut left = integer_digits.saturating_add(read_exponent(exponent));
        let mut date = Self {
            whole: 0,
            has_fraction: false,
        };
        for digit in integer.bytes().chain(fraction.bytes()) {
            let digit = u64::from(digit.saturating_sub(b'0'));
            if left > 0 {
                date.append(digit);
            } else {
                date.has_fraction |= digit != 0;
            }
            left = left.saturating_sub(1);
        }
        while left > 0 && date.whole != 0 && date.whole != u64::MAX {
            date.append(0);
            left = left.saturating_sub(1);
        }
        date
    }

    /// Appends a digit. A value that overflows saturates.
    fn append(&mut self, digit: u64) {
        let shifted = self.whole.checked_mul(10);
        let appended = shifted.and_then(|whole| whole.checked_add(digit));
        self.whole = appended.unwrap_or(u64::MAX);
    }

    /// Rounds down, so that an expiration time is not later than specified.
    pub(super) fn floor(self) -> u64 {
        self.whole
    }

    /// Rounds up, so that a start of validity is not earlier than specified.
    pub(super) fn ceil(self) -> u64 {
        self.whole.saturating_add(u64::from(self.has_fraction))
    }
}

/// Parses an exponent with its sign. A value outside the range of an `i64` saturates, which does not change the resulting date.
fn read_exponent(text: &str) -> i64 {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = digits.bytes().fold(0i64, |value, digit| {
        let digit = i64::from(digit.saturating_sub(b'0'));
        value.saturating_mul(10).saturating_add(digit)
    });
    if is_negative {
        value.saturating_neg()
    } else {
        value
    }
}
