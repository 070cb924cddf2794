use subtle::ConstantTimeEq;
use zeroize::optimization_barrier;

/// Returns whether two byte strings are equal, in a time that depends on their lengths only.
///
/// The differences of all bytes are accumulated first and tested once, which is faster than `subtle`, which tests each byte.
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
    fn detects_a_difference_in_every_bit() {
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
