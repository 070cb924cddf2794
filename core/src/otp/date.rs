//! NumericDate, in all the forms that JSON has for a number.

/// A NumericDate (RFC 7519 section 2), within the range of a `u64`: earlier and later ones become its ends.
#[derive(Clone, Copy)]
pub(super) struct NumericDate {
    /// The largest integer that is not greater.
    whole: u64,
    has_fraction: bool,
}

impl NumericDate {
    /// Reads a JSON number (RFC 8259 section 6). Exact: no floating point is involved. Takes time linear in its length.
    pub(super) fn read(number: &str) -> Self {
        if number.starts_with('-') {
            // Before 1970: what ended then has expired, what began then has begun.
            return Self {
                whole: 0,
                has_fraction: false,
            };
        }
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        // How many digits stand before the point.
        let point = i64::try_from(integer.len()).unwrap_or(i64::MAX);
        let mut left = point.saturating_add(read_exponent(exponent));
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

    /// Appends a digit; the end of the range stays.
    fn append(&mut self, digit: u64) {
        let shifted = self.whole.checked_mul(10);
        let appended = shifted.and_then(|whole| whole.checked_add(digit));
        self.whole = appended.unwrap_or(u64::MAX);
    }

    /// Rounds down: an expiry is then not later than it says.
    pub(super) fn floor(self) -> u64 {
        self.whole
    }

    /// Rounds up: a beginning is then not earlier than it says.
    pub(super) fn ceil(self) -> u64 {
        self.whole.saturating_add(u64::from(self.has_fraction))
    }
}

/// An exponent with its sign. Those too large for an `i64` become its ends, beyond all that matters.
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
