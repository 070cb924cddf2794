use subtle::ConstantTimeEq;
use zeroize::optimization_barrier;

/// Whether two strings of bytes are the same, in a time that tells their lengths only.
///
/// All differences are gathered first and looked at once; `subtle` would look at each byte by itself.
#[must_use]
pub fn equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let differences = one
        .iter()
        .zip(other)
        .fold(0, |all, (one, other)| all | (one ^ other));
    optimization_barrier(&differences);
    differences.ct_eq(&0).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_counts() {
        let one = [0x5a; 44];
        assert!(equal(&one, &one));
        assert!(equal(&[], &[]));
        assert!(!equal(&one, &one[..43]));
        for bit in 0..one.len() * 8 {
            let mut other = one;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!equal(&one, &other));
        }
    }
}
