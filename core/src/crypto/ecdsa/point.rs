use super::PUBLIC_KEY_LEN;

/// A public key on P-256: the affine coordinates of its point, big-endian.
///
/// A value of this type need not be on the curve; [`P256::verify`](super::P256::verify) and key agreement check it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicPoint {
    /// The x coordinate.
    pub x: [u8; 32],
    /// The y coordinate.
    pub y: [u8; 32],
}

impl PublicPoint {
    /// Parses an uncompressed point: `04`, x, y (SEC 1 section 2.3.4). Returns `None` for other encodings.
    #[must_use]
    pub fn from_sec1(encoded: &[u8]) -> Option<Self> {
        let ([4], coordinates) = encoded.split_first_chunk()? else {
            return None;
        };
        let (x, y) = coordinates.split_first_chunk()?;
        Some(Self {
            x: *x,
            y: y.try_into().ok()?,
        })
    }

    /// Returns the uncompressed point: `04`, x, y (SEC 1 section 2.3.3).
    #[must_use]
    pub fn to_sec1(&self) -> [u8; PUBLIC_KEY_LEN] {
        let mut encoded = [4; PUBLIC_KEY_LEN];
        let coordinates = self.x.iter().chain(&self.y);
        for (to, from) in encoded.iter_mut().skip(1).zip(coordinates) {
            *to = *from;
        }
        encoded
    }
}
