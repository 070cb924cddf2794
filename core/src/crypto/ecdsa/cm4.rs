use super::{P256, PUBLIC_KEY_LEN, Signature};

/// The assembly implementation for Cortex-M4. It does not run in QEMU, which treats one of its instructions as undefined.
pub static CM4: &dyn P256 = &Cm4;

#[derive(Debug)]
struct Cm4;

impl P256 for Cm4 {
    fn verify(
        &self,
        public_key: &[u8; PUBLIC_KEY_LEN],
        digest: &[u8; 32],
        signature: &Signature,
    ) -> bool {
        let (mut x, mut y) = ([0; 8], [0; 8]);
        p256_cm4::octet_string_to_point(&mut x, &mut y, public_key)
            && p256_cm4::verify(&x, &y, digest, &words(&signature.r), &words(&signature.s))
    }
}

/// Converts a big-endian integer to words, least significant word first.
fn words(bytes: &[u8; 32]) -> [u32; 8] {
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().rev().zip(bytes.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}
