use super::VomError;
use crate::wire::Reader;

/// Reads an unsigned integer: below 0x80 itself, otherwise its length as 0x100 - length, then its bytes, which must be minimal.
pub(crate) fn unsigned(reader: &mut Reader<'_>) -> Result<u64, VomError> {
    let first = reader.u8()?;
    if first < 0x80 {
        return Ok(u64::from(first));
    }
    if first < 0xf8 {
        return Err(VomError::Malformed);
    }
    let octets = reader.take(usize::from(!first).saturating_add(1))?;
    let value = octets
        .iter()
        .fold(0, |value: u64, octet| (value << 8) | u64::from(*octet));
    let is_minimal = match octets {
        [one] => *one >= 0x80,
        [first, ..] => *first != 0,
        [] => false,
    };
    is_minimal.then_some(value).ok_or(VomError::Malformed)
}

/// Reads a signed integer: the complement of a negative one, shifted by one bit for the sign.
pub(super) fn signed(reader: &mut Reader<'_>) -> Result<i64, VomError> {
    let coded = unsigned(reader)?;
    let magnitude = i64::try_from(coded >> 1).map_err(|_| VomError::Malformed)?;
    Ok(if coded & 1 == 0 {
        magnitude
    } else {
        !magnitude
    })
}

/// Reads a length or a count. It must not be larger than the number of bytes that are left: each element takes one at least.
pub(super) fn count(reader: &mut Reader<'_>) -> Result<usize, VomError> {
    let count = usize::try_from(unsigned(reader)?).map_err(|_| VomError::Malformed)?;
    if count > reader.rest().len() {
        return Err(VomError::Malformed);
    }
    Ok(count)
}

/// Reads a byte string that is preceded by its length.
pub(crate) fn octets<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], VomError> {
    let len = count(reader)?;
    Ok(reader.take(len)?)
}

/// Reads a bool.
pub(crate) fn boolean(reader: &mut Reader<'_>) -> Result<bool, VomError> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(VomError::Malformed),
    }
}

/// Reads the index of a field; `None` at the end of the struct. `last` is the index before it.
pub(super) fn index(reader: &mut Reader<'_>, last: Option<u64>) -> Result<Option<u64>, VomError> {
    if reader.rest().first() == Some(&super::END) {
        reader.u8()?;
        return Ok(None);
    }
    let index = unsigned(reader)?;
    if last.is_some_and(|last| index <= last) {
        return Err(VomError::Malformed);
    }
    Ok(Some(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &[u8]) -> Result<u64, VomError> {
        let mut reader = Reader::new(octets);
        let value = unsigned(&mut reader)?;
        assert!(reader.is_empty());
        Ok(value)
    }

    #[test]
    fn integers_are_minimal() {
        for (octets, value) in [
            (&[0x00][..], 0),
            (&[0x7f], 0x7f),
            (&[0xff, 0x80], 0x80),
            (&[0xfe, 0x01, 0x00], 0x100),
            (
                &[0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                u64::MAX,
            ),
        ] {
            assert_eq!(read(octets), Ok(value));
        }
        for octets in [
            &[][..],
            &[0x80],
            &[0xe1],
            &[0xf7, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xff],
            &[0xff, 0x7f],
            &[0xfe, 0x00, 0x80],
            &[0xfe, 0x01],
        ] {
            assert_eq!(read(octets), Err(VomError::Malformed), "{octets:?}");
        }
    }

    #[test]
    fn signed_integers_have_their_sign_in_the_lowest_bit() {
        for (octets, value) in [
            (&[0x00][..], 0),
            (&[0x01], -1),
            (&[0x5d], -47),
            (&[0x52], 41),
        ] {
            assert_eq!(signed(&mut Reader::new(octets)), Ok(value));
        }
    }
}
